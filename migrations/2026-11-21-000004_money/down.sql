DROP TABLE refunds, payment_events, checkouts, order_lines, orders;
