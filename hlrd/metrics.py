"""Every Prometheus metric of hlrd; nothing else in the tree makes one.

Base units, `_total` for counters, labels from closed sets only: an MSISDN, IMSI, user or order id
is never a label. On a hot path take the child once (`.labels(…)`) and keep it.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from hlrd.tally import Counter, Histogram

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_FAST_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
_ORDER_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_RESUME_S: Final = (0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_ROWS: Final = (1, 10, 50, 100, 250, 500, 1000, 2000)

ORDERS_RECEIVED: Final = Counter(
    "hlrd_orders_received_total",
    "Orders read from upstream, before any check.",
    ["kind", "source"],
    registry=REGISTRY,
)
ORDERS_REFUSED: Final = Counter(
    "hlrd_orders_refused_total",
    "Orders refused before anything was reserved.",
    ["code"],
    registry=REGISTRY,
)
ORDERS_ACCEPTED: Final = Counter(
    "hlrd_orders_accepted_total", "Orders durable in the journal.", ["kind"], registry=REGISTRY
)
ORDERS_REPEATED: Final = Counter(
    "hlrd_orders_repeated_total",
    "Re-posted orders that were given the stored answer.",
    registry=REGISTRY,
)
ORDERS_CLOSED: Final = Counter(
    "hlrd_orders_closed_total", "Orders closed.", ["kind", "result"], registry=REGISTRY
)
ORDER_DURATION: Final = Histogram(
    "hlrd_order_duration_seconds",
    "From acceptance to the durable receipt.",
    ["kind"],
    buckets=_ORDER_S,
    registry=REGISTRY,
)
STATE_MISMATCHES: Final = Counter(
    "hlrd_state_mismatches_total",
    "State orders whose master said other reasons than hlrd had worked out; the master's count.",
    ["source"],
    registry=REGISTRY,
)
ORDERS_OPEN: Final = Gauge(
    "hlrd_orders_open",
    "Accepted and not closed, by where they are.",
    ["priority", "place"],
    registry=REGISTRY,
)
ORDERS_OLDEST_AGE: Final = Gauge(
    "hlrd_orders_oldest_age_seconds",
    "Age of the oldest open order in memory; parked and fallout orders are not looked at.",
    ["priority"],
    registry=REGISTRY,
)
MEMBERS_WAITING: Final = Gauge(
    "hlrd_members_waiting",
    "Users in memory whose order waits for their enterprise (EC_NOT_READY) or for their opening.",
    ["code"],
    registry=REGISTRY,
)

ORDERS_FALLOUT: Final = Gauge(
    "hlrd_orders_fallout", "Orders that wait for a person.", registry=REGISTRY
)
BATCHES_OPEN: Final = Gauge(
    "hlrd_batches_open",
    "Batches, and walks over all members of an EC, that are not over.",
    ["state"],
    registry=REGISTRY,
)
BATCH_ROWS: Final = Counter(
    "hlrd_batch_rows_total",
    "Rows of batches by what became of them: sent, succeeded, failed, left.",
    ["state"],
    registry=REGISTRY,
)
BATCH_CHILDREN: Final = Gauge(
    "hlrd_batch_children_open", "Children of batches that are under way.", registry=REGISTRY
)
FALLOUT_ORDERS: Final = Gauge(
    "hlrd_fallout_orders",
    "Orders that wait for a person, by where they are stuck and the class of what was said there.",
    ["ne", "class"],
    registry=REGISTRY,
)
FALLOUT_OLDEST_AGE: Final = Gauge(
    "hlrd_fallout_oldest_age_seconds",
    "Since the longest waiting of them fell out.",
    ["ne"],
    registry=REGISTRY,
)
FALLOUT_ACTS: Final = Counter(
    "hlrd_fallout_acts_total",
    "What persons, or the people behind the EOMS, did with orders that fell out.",
    ["act"],
    registry=REGISTRY,
)
ORDERS_RECOVERED: Final = Counter(
    "hlrd_orders_recovered_total", "Open orders taken over at start.", registry=REGISTRY
)

ORDERS_CHASED: Final = Counter(
    "hlrd_orders_chased_total", "Orders that somebody urged on.", registry=REGISTRY
)

ORDERS_BLOCKED: Final = Counter(
    "hlrd_orders_blocked_total",
    "Suspensions and resumes that wait behind an order of their user in fallout.",
    ["kind"],
    registry=REGISTRY,
)

ORDERS_SCHEDULED: Final = Gauge(
    "hlrd_orders_scheduled",
    "Orders dated ahead whose time is to come, counted up to a million.",
    registry=REGISTRY,
)

ORDERS_NEEDLESS: Final = Counter(
    "hlrd_orders_needless_total",
    "Orders that succeeded without a command: superseded, coalesced or done under another id.",
    ["mark"],
    registry=REGISTRY,
)

PAYMENT_RESUME_DURATION: Final = Histogram(
    "hlrd_payment_resume_duration_seconds",
    "From the receipt of a payment resume to the HLR's word that the line is free.",
    ["province"],
    buckets=_RESUME_S,
    registry=REGISTRY,
)
PAYMENT_RESUMES_LATE: Final = Gauge(
    "hlrd_payment_resumes_late",
    "Payment resumes open for more than 5 minutes, wherever they wait.",
    registry=REGISTRY,
)

NE_IN_FLIGHT: Final = Gauge(
    "hlrd_ne_in_flight_commands", "Commands written and not answered.", ["ne"], registry=REGISTRY
)
NE_WINDOW: Final = Gauge(
    "hlrd_ne_window_commands",
    "Commands that could be in flight at once.",
    ["ne"],
    registry=REGISTRY,
)
NE_SESSIONS: Final = Gauge(
    "hlrd_ne_sessions", "Sessions by state.", ["ne", "state"], registry=REGISTRY
)
NE_READY: Final = Gauge(
    "hlrd_ne_ready_tasks",
    "Tasks that wait for a place in the window.",
    ["ne", "priority"],
    registry=REGISTRY,
)
NE_BREAKER_OPEN: Final = Gauge(
    "hlrd_ne_breaker_open",
    "1 while nothing is sent because the NE does not answer.",
    ["ne"],
    registry=REGISTRY,
)
NE_ON_STANDBY: Final = Gauge(
    "hlrd_ne_on_standby",
    "1 while the NE is reached at its standby address.",
    ["ne"],
    registry=REGISTRY,
)
NE_HALTED: Final = Gauge(
    "hlrd_ne_halted",
    "1 while nothing is sent because of a hold, a drain or a blackout.",
    ["ne"],
    registry=REGISTRY,
)
NE_COMMAND_DURATION: Final = Histogram(
    "hlrd_ne_command_duration_seconds",
    "From write to reply.",
    ["ne", "operation"],
    buckets=_FAST_S,
    registry=REGISTRY,
)
NE_OUTCOMES: Final = Counter(
    "hlrd_ne_outcomes_total", "Replies by class.", ["ne", "verdict"], registry=REGISTRY
)
NE_UNKNOWN_CODES: Final = Counter(
    "hlrd_ne_unknown_codes_total",
    "Replies whose code is in no table; taken as permanent.",
    ["ne"],
    registry=REGISTRY,
)
NE_LATE_REPLIES: Final = Counter(
    "hlrd_ne_late_replies_total",
    "Replies to commands that were in doubt already; told by their number and dropped.",
    ["ne"],
    registry=REGISTRY,
)
NE_SESSION_ENDS: Final = Counter(
    "hlrd_ne_session_ends_total",
    "Sessions that ended, by cause.",
    ["ne", "cause"],
    registry=REGISTRY,
)
TASKS_RETRIED: Final = Counter(
    "hlrd_tasks_retried_total",
    "Commands sent again after a passing fault.",
    ["ne"],
    registry=REGISTRY,
)
TASKS_READ_BACK: Final = Counter(
    "hlrd_tasks_read_back_total",
    "Read-backs by what they found.",
    ["ne", "found"],
    registry=REGISTRY,
)
TASKS_IN_DOUBT: Final = Gauge(
    "hlrd_tasks_in_doubt",
    "Tasks written, unanswered and not read back yet.",
    ["ne"],
    registry=REGISTRY,
)

POOL_NUMBERS: Final = Gauge(
    "hlrd_pool_numbers", "Numbers of a pool by state.", ["pool", "state"], registry=REGISTRY
)
POOL_ALLOCATION_DURATION: Final = Histogram(
    "hlrd_pool_allocation_duration_seconds",
    "From the wish for a number to its durable binding.",
    buckets=_FAST_S,
    registry=REGISTRY,
)
POOL_LEASED: Final = Gauge(
    "hlrd_pool_leased_numbers",
    "Numbers leased and not handed out, in memory.",
    ["pool"],
    registry=REGISTRY,
)
POOL_RECYCLED: Final = Counter(
    "hlrd_pool_recycled_total",
    "Numbers whose quarantine is over: recycled, recordFound (so locked), noAnswer of the HLR.",
    ["found"],
    registry=REGISTRY,
)
POOL_IDLE: Final = Gauge(
    "hlrd_pool_idle_numbers",
    "Numbers that orders may still draw, in memory or to be leased.",
    ["pool", "province", "hlr"],
    registry=REGISTRY,
)
POOL_LOW_WATER: Final = Gauge(
    "hlrd_pool_low_water_numbers",
    "Mark below which the idle numbers of a province are too few; 0 for none.",
    ["pool"],
    registry=REGISTRY,
)
POOL_LEASES: Final = Counter("hlrd_pool_leases_total", "Leases taken.", ["what"], registry=REGISTRY)
POOL_EXHAUSTED: Final = Counter(
    "hlrd_pool_exhausted_total",
    "Draws refused because nothing was left.",
    ["what"],
    registry=REGISTRY,
)
POOL_RESERVATIONS: Final = Counter(
    "hlrd_pool_reservations_total",
    "Reservations granted, granted in part, refused, cancelled and expired.",
    ["result"],
    registry=REGISTRY,
)
STOCK_CARDS: Final = Gauge("hlrd_stock_cards", "SIM cards by state.", ["state"], registry=REGISTRY)
SIM_IMPORTS_OPEN: Final = Gauge(
    "hlrd_sim_imports_open", "Imports of SIM lots that wait or run.", registry=REGISTRY
)
SIM_IMPORTS: Final = Counter(
    "hlrd_sim_imports_total", "Imports of SIM lots that are over.", ["state"], registry=REGISTRY
)

JOURNAL_BATCH: Final = Histogram(
    "hlrd_journal_batch_rows", "Rows of one group commit.", buckets=_ROWS, registry=REGISTRY
)
JOURNAL_FLUSH_DURATION: Final = Histogram(
    "hlrd_journal_flush_duration_seconds", "One group commit.", buckets=_FAST_S, registry=REGISTRY
)
JOURNAL_BACKLOG: Final = Gauge(
    "hlrd_journal_backlog_rows", "Records not yet durable.", registry=REGISTRY
)
JOURNAL_FAILURES: Final = Counter(
    "hlrd_journal_failures_total",
    "Group commits that had to be done again, by cause.",
    ["cause"],
    registry=REGISTRY,
)

SESSIONS_OPEN: Final = Gauge(
    "hlrd_sessions_open", "Source systems that are logged in.", ["source"], registry=REGISTRY
)
SESSIONS_ENDED: Final = Counter(
    "hlrd_sessions_ended_total",
    "Sessions that ended, by why: loggedOut, closed, idle, expired, displaced, revoked.",
    ["source", "cause"],
    registry=REGISTRY,
)
LOGINS: Final = Counter(
    "hlrd_logins_total",
    "Tries to log in: opened, refused, locked, throttled, unaudited. Of no account: source none.",
    ["source", "result"],
    registry=REGISTRY,
)
ACCOUNTS_LOCKED: Final = Gauge(
    "hlrd_accounts_locked",
    "Accounts that wrong passwords have locked now.",
    ["source"],
    registry=REGISTRY,
)

AUDIT_ROWS: Final = Counter(
    "hlrd_audit_rows_total", "Rows added to the audit trail.", ["action"], registry=REGISTRY
)
OPERATOR_TOKENS_REFUSED: Final = Counter(
    "hlrd_operator_tokens_refused_total",
    "Operators' tokens that were refused, by what is wrong with them.",
    ["cause"],
    registry=REGISTRY,
)
RIGHTS_REFUSED: Final = Counter(
    "hlrd_rights_refused_total",
    "What operators asked for and were refused, by right and code of the refusal.",
    ["right", "code"],
    registry=REGISTRY,
)
AUTHORIZATION_DURATION: Final = Histogram(
    "hlrd_authorization_duration_seconds",
    "Questions to the authorization service: allowed, refused, or failed (no answer of use).",
    ["result"],
    buckets=_FAST_S,
    registry=REGISTRY,
)

RECEIPTS_PENDING: Final = Gauge(
    "hlrd_receipts_pending",
    "Receipts that their source has not fetched past.",
    ["source"],
    registry=REGISTRY,
)
RECEIPTS_FETCHED: Final = Counter(
    "hlrd_receipts_fetched_total", "Receipts handed out.", ["source"], registry=REGISTRY
)

RECEIPT_STREAMS: Final = Gauge(
    "hlrd_receipt_streams", "Open event streams of receipts.", ["source"], registry=REGISTRY
)
DELIVERIES: Final = Counter(
    "hlrd_deliveries_total",
    "Tries to deliver a receipt to an endpoint: delivered, failed and tried again, dead.",
    ["endpoint", "result"],
    registry=REGISTRY,
)
DELIVERY_DURATION: Final = Histogram(
    "hlrd_delivery_duration_seconds",
    "One try, from the request to the endpoint's answer.",
    ["endpoint"],
    buckets=_FAST_S,
    registry=REGISTRY,
)
DELIVERIES_PENDING: Final = Gauge(
    "hlrd_deliveries_pending",
    "Receipts that wait for an endpoint; those not read yet may be another endpoint's.",
    ["endpoint"],
    registry=REGISTRY,
)
DELIVERIES_OLDEST_AGE: Final = Gauge(
    "hlrd_deliveries_oldest_age_seconds",
    "Age of the receipt that waits longest for an endpoint; 0 if none waits.",
    ["endpoint"],
    registry=REGISTRY,
)
DELIVERIES_DEAD: Final = Gauge(
    "hlrd_deliveries_dead",
    "Receipts given up after 24 hours, which staff may send again.",
    ["endpoint"],
    registry=REGISTRY,
)
ENDPOINT_AWAY: Final = Gauge(
    "hlrd_receipt_endpoint_away",
    "1 while an endpoint is left alone: it does not answer, asked for a pause, or wants no more.",
    ["endpoint"],
    registry=REGISTRY,
)

HTTP_REQUESTS: Final = Counter(
    "hlrd_http_requests_total",
    "Requests by route and status.",
    ["route", "status"],
    registry=REGISTRY,
)
HTTP_DURATION: Final = Histogram(
    "hlrd_http_request_duration_seconds",
    "Requests by route.",
    ["route"],
    buckets=_FAST_S,
    registry=REGISTRY,
)
LOOP_LAG: Final = Histogram(
    "hlrd_event_loop_lag_seconds",
    "How late a timer of the event loop fired.",
    buckets=_FAST_S,
    registry=REGISTRY,
)
INFO: Final = Gauge("hlrd_build_info", "1, with the version.", ["version"], registry=REGISTRY)
