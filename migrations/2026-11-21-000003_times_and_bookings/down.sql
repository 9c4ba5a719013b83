DROP TABLE booking_events, held_times, booking_proposals, bookings, availabilities;
