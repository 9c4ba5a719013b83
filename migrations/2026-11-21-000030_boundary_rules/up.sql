-- The boundary rules that everyone acknowledges before they book: the first version, so that a new installation has one.

INSERT INTO boundary_policies (version, body, published_at, published_by) VALUES (1, $rules$Boundary rules

1. Respect. Everyone here is a person with limits of their own. Be courteous and on time. No insults, threats, hate or discrimination, in messages, in person or in reviews.

2. Consent. What was agreed in the booking is what happens. Anything beyond it needs a clear yes from both sides, which each may take back at any moment. Silence is not a yes. Nobody has to explain a no.

3. No illegal services. Nothing that the law forbids where you meet may be offered, asked for or paid for. Sexual services, drugs, weapons and help with a crime are never part of a booking.

4. Adults only. Both sides are at least 18 years old. Children come along only where the service is meant for them and their guardian is present.

5. Safety. Meet first in a public place where you can. Tell somebody you trust where you are. Either side may end a meeting at once when they feel unsafe. In danger, call the local emergency number first and report it here after that.

6. Sober and fit. Neither side comes to a booking drunk, drugged or with an infectious illness.

7. Privacy. No photos, recordings or posts of the other person without their yes. Addresses, phone numbers and what you learn in a booking stay between you.

8. Money. The price is the one in the booking and is paid through this service. Don't ask for or offer cash, loans or presents on top of it.

9. Cancellations. Plans change: cancel as early as you can. What a cancellation costs is shown before you do it and follows the policy frozen in the booking. Who does not come without a word takes the other's time.

10. Honest reviews. Write what you have lived through yourself. Reviews are not for sale and not for revenge.

11. Speak up. Block whoever crosses a line and report them. Reports are read by our staff alone; the other side never learns who sent one. Who breaks these rules can lose bookings, reviews and the account.
$rules$, '2026-11-01T00:00:00Z', NULL);
