// The tabs of a first visit: the way of a booking, in order. Every one names where its ids come from.

/** One tab. */
export interface Example {
  query: string;
  variables?: string;
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

const DAY = 24 * 60 * 60 * 1000;

/** The start of the day `days` from today, as an instant. */
const day = (days: number) => new Date(Math.floor(Date.now() / DAY) * DAY + days * DAY).toISOString().replace(".000", "");

/** A key that makes sending the same order twice harmless. */
const key = () => crypto.randomUUID?.() ?? String(Date.now());

/** The tabs, with dates relative to now. */
export const examples = (): Example[] => [
  {
    query: `# Find providers: no sign-in needed.
# At most 6 SQL statements, whatever the page size.
query Providers($first: Int!) {
  providers(first: $first, sort: RATING) {
    nodes {
      id
      displayName
      user { displayName }
      services {
        service { id title }
        price { amountMinor currency formatted }
      }
      reviews(first: 3) {
        nodes { rating comment author { displayName } }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
    variables: json({ first: 20 }),
  },
  {
    query: `# Who am I? Sign in above first.
query Me {
  me {
    id
    user { displayName }
    username
    language
    provider { id displayName status }
    bookings(first: 5) { nodes { id state startsAt } }
    sessions(first: 5) { nodes { id deviceName isCurrent lastUsedAt } }
  }
}
`,
  },
  {
    query: `# Free times of a provider for a service.
# Both ids come from the tab Providers.
query Slots($provider: ID!, $service: ID!, $from: DateTime!, $to: DateTime!) {
  provider(id: $provider) {
    displayName
    slots(serviceId: $service, from: $from, to: $to) { startsAt endsAt }
  }
}
`,
    variables: json({ provider: "prv_…", service: "srv_…", from: day(1), to: day(8) }),
  },
  {
    query: `# As a client: read the boundary rules, then agree to the
# current version, once.
query BoundaryPolicy {
  boundaryPolicy { version text }
}

mutation BoundaryAcknowledge($version: Int!) {
  boundaryAcknowledge(version: $version) {
    userErrors { code message field }
  }
}
`,
    variables: json({ version: 1 }),
  },
  {
    query: `# As a client: ask for a time. startsAt from the tab Slots.
mutation BookingCreate($input: BookingCreateInput!, $key: String!) {
  bookingCreate(input: $input, idempotencyKey: $key) {
    booking { id state startsAt endsAt price { formatted } }
    userErrors { code message field details }
  }
}
`,
    variables: json({ input: { providerId: "prv_…", serviceId: "srv_…", startsAt: day(2) }, key: key() }),
  },
  {
    query: `# As the provider of that booking: say yes.
mutation BookingAccept($id: ID!) {
  bookingAccept(id: $id) {
    booking { id state }
    userErrors { code message field }
  }
}
`,
    variables: json({ id: "bkg_…" }),
  },
  {
    query: `# As the client again: an order for the accepted booking.
mutation OrderCreate($booking: ID!, $key: String!) {
  orderCreate(bookingId: $booking, idempotencyKey: $key) {
    order { id state total { formatted } }
    userErrors { code message field }
  }
}
`,
    variables: json({ booking: "bkg_…", key: key() }),
  },
  {
    query: `# As the client: a page to pay on. Open its url.
mutation CheckoutCreate($order: ID!, $input: CheckoutCreateInput!, $key: String!) {
  checkoutCreate(orderId: $order, input: $input, idempotencyKey: $key) {
    checkout { url }
    userErrors { code message field }
  }
}
`,
    variables: json({ order: "ord_…", input: { successUrl: location.href, cancelUrl: location.href }, key: key() }),
  },
  {
    query: `# As the provider, once the time is over.
mutation BookingComplete($id: ID!) {
  bookingComplete(id: $id) {
    booking { id state events { action createdAt } }
    userErrors { code message field }
  }
}
`,
    variables: json({ id: "bkg_…" }),
  },
  {
    query: `# As the client: review the completed booking.
# The rating shows in the tab Providers.
mutation ReviewCreate($booking: ID!, $input: ReviewCreateInput!) {
  reviewCreate(bookingId: $booking, input: $input) {
    review { id rating comment }
    userErrors { code message field }
  }
}
`,
    variables: json({ booking: "bkg_…", input: { rating: 5, comment: "Calm, kind and on time." } }),
  },
  {
    query: `# As staff: who wants to become a provider?
# Decide with the second operation.
query Applications {
  providerApplications(first: 20) {
    nodes { id displayName headline bio appliedAt city { name } }
  }
}

mutation ApplicationReview($id: ID!, $input: ProviderApplicationReviewInput!) {
  providerApplicationReview(id: $id, input: $input) {
    provider { id status }
    userErrors { code message field }
  }
}
`,
    variables: json({ id: "prv_…", input: { decision: "APPROVE" } }),
  },
];
