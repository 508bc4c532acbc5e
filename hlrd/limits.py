"""Every bound of hlrd, with its unit and its reason, and the relations that must hold between them.

What an operator must tune per site is in `config.py`; what stands here is part of the design.
"""

from typing import Final

BATCH_ORDERS_MAX: Final = 10_000
"""Orders in one POST. A larger file belongs to several POSTs, so that progress is visible."""

BODY_BYTES_MAX: Final = 16 * 2**20
"""One request body. 10,000 orders of 1.6 kB."""

ORDER_BYTES_MAX: Final = 16 * 2**10
"""One order of a batch. A sane one is 300 to 1,000 bytes."""

ORDERS_IN_MEMORY_MAX: Final = 24_000
"""Accepted orders kept in memory; the rest waits in the journal. At about 5 kB each, 120 MB."""

NE_MEMORY_SHARE: Final = 0.2
"""The part of ORDERS_IN_MEMORY_MAX that may wait for one NE; more wait in the journal. Else an NE
that is away would by and by have all of memory, and the orders of the others none."""

ORDERS_OPEN_MAX: Final = 1_000_000
"""Accepted and not closed, in memory or parked. A parked order costs about 300 bytes of index."""

ORDERS_ARRIVING_MAX: Final = 20_000
"""Read from a socket and not yet durable. Above it the journal is behind: refuse, do not queue."""

ADMISSION_SHARES: Final = (1.0, 1.0, 0.9, 0.9, 0.8, 0.8)
"""By priority, the part of ORDERS_OPEN_MAX and ORDERS_ARRIVING_MAX it may fill: bulk is refused
first, the urgent last."""

PRODUCT_VERSIONS_MAX: Final = 20_000
"""Published versions, all kept in memory: users have old ones, and a product has few services."""

PRODUCT_SERVICES_MAX: Final = 32
PRODUCT_TARGETS_MAX: Final = 16
"""Platforms that one product is published to, and that its users are known to."""

SCRIPTS_OF_SERVICE_MAX: Final = 8
"""Dialects that one function is written in."""

SCRIPT_CHARS_MAX: Final = 1_000
"""One command template; the longest honest command is under 300."""

SCRIPTS_PARSED_MAX: Final = 4_096
"""Templates kept taken apart, at some 1 kB each; one that is rare is taken apart again."""

PARAMETERS_MAX: Final = 16
PARAMETER_VALUES_MAX: Final = 64
"""Parameters of one service, and the values that each may take."""

EC_SUBSCRIPTIONS_MAX: Final = 100_000
"""Products that enterprises have, all kept in memory at some 600 bytes: 60 MB."""

PARTNER_PROVINCES_MAX: Final = 31
"""Provinces that one product of an enterprise is published to: all there are."""

MEMBER_WAIT_S: Final = 3_600.0
"""How long an order of a member waits for its enterprise, or for the opening of its user."""

GROUP_PAGE_MAX: Final = 1_000
"""Enterprises, or members of one, in one answer."""

USER_PRODUCTS_MAX: Final = 32
"""Products of one user; each order of the user carries all of them."""

USER_ORDERS_OPEN_MAX: Final = 64
"""Open orders of one user; they run one by one, so more would only grow old."""

PREDECESSOR_WAIT_S: Final = 5.0
PREDECESSOR_WAIT_S_MAX: Final = 300.0
"""Default, and the most a site may set, of how long an order waits for one that is missing before
it in its user's sequence. Upstream's retries are of seconds; the user's other orders wait too."""

RETRY_AFTER_S_MAX: Final = 60.0
"""Longest advice of a 429: the queue may drain sooner than its present rate says."""

UNPARK_ORDERS: Final = 2_000
"""Orders read back from the journal at once, when memory has room for as many."""

RESEND_ORDERS_MAX: Final = 100
"""Fallout orders read back at once, each with all of its user's; they come on top of the room."""

LOOKUP_ORDERS_MAX: Final = 2_000
"""Orders whose user and duplicate are read in one query."""

FLUSH_ROWS_MAX: Final = 2_000
"""Rows of one COPY. Measured: beyond 2,000 the rate no longer grows and the latency does."""

JOURNAL_CONNECTIONS: Final = 3
"""The backlog is split over as many COPY streams: while one waits for the disk and one for its
rows, the third works. `make bench-pool`, 1,024 requesters: three give 6 % more than two, four no
more."""

FLUSH_SPLIT_ROWS: Final = 256
"""Pending records that are worth another flush beside those in flight. Fewer are cheaper later."""

REPORT_TURN_S: Final = 0.0005
REPORT_ORDERS: Final = 16
"""How long the engine is told of a flush before the loop has a turn, looked at after each so many
orders. With 128 sessions of 20 ms: 92 % of sessions / latency; 89 % when told of all at once."""

FLUSH_GATHER_S: Final = 0.003
FLUSH_GATHER_ROWS: Final = 32
"""Rest between a flush and the next while fewer rows than this wait (docs/adr/0003)."""

STORE_CONNECT_TIMEOUT_S: Final = 5.0
STORE_TIMEOUT_S: Final = 10.0
"""Longest wait for one statement or group commit. After it the commit is in doubt: read back."""

STORE_RETRY_DELAY_S_MAX: Final = 2.0
"""PostgreSQL out of reach is tried again this often at least; a failover takes seconds."""

LOW_WATER_INTERVAL_S: Final = 5.0
"""How often the smallest open order id is written down, so that a start scans little history."""

TASK_ATTEMPTS_MAX: Final = 8
"""Counted tries of a task that may be given up (opening). The last follows after about a minute."""

RETRY_DELAY_S_MIN: Final = 0.05
RETRY_DELAY_S_MAX: Final = 30.0

NE_REPLY_TIMEOUT_S: Final = 30.0
"""Default of the longest wait for one reply. Past it the task is in doubt, not failed."""

FRAME_BYTES_MAX: Final = 256 * 2**10
"""One reply of an NE. The longest honest one, LST SUB with DETAIL, stays under 16 kB."""

PRIORITIES: Final = 6
"""0 emergency, 1 paid or waiting, 2 single, 3 arrears stop, 4 batch, 5 repair."""

PRIORITY_BATCH: Final = 4
"""What comes by the thousand and nobody waits for."""

PRIORITY_URGENT_MAX: Final = 1
"""Priorities 0 and 1 have a reserved share of every NE and of admission."""

PRIORITY_CHASED: Final = PRIORITY_URGENT_MAX
"""Of an order that somebody asked after (催单): as of one that somebody waits for."""

LANE_AGEING_S: Final = 60.0
"""Waiting this long lifts a task by one priority class, so that no class ever starves."""

URGENT_IN_A_ROW: Final = 15
"""Urgent tasks that an NE is sent before one that is not, if both wait. A flood of the urgent
leaves a sixteenth to the rest, and the urgent never wait for more of the rest than that."""

RESERVED_SESSIONS_FROM: Final = 32
"""An NE with at least this many sessions keeps one for urgent tasks alone: 3 % of it or less. With
fewer an urgent task has the next session that comes free, and one in 16 would be too dear."""

SYNC_WAIT_S_MAX: Final = 60.0
"""Longest wait of a synchronous order (`Prefer: wait=N`, `deadline_ms`)."""

LONG_POLL_S_MAX: Final = 60.0
RECEIPTS_PAGE_MAX: Final = 1_000

ACCEPT_TIME_AHEAD_S_MAX: Final = 600.0
"""How far an upstream clock may run ahead of ours."""

EFFECTIVE_TIME_AHEAD_DAYS_MAX: Final = 62
"""How far an order may be dated ahead: to the end of the month after next."""

DUE_LOOK_S: Final = 0.5
"""How often it is looked for orders dated ahead whose time has come."""

DUE_ORDERS_MAX: Final = 1_000
"""Of them taken up at once: some 20 ms of PostgreSQL's time."""

DUE_WAITING_MAX: Final = 200_000
"""No more are taken up while so many of all orders are parked: at 300 bytes each it is 60 MB, and
they wait as well where they are, on disk alone."""

SCHEDULED_COUNTED_MAX: Final = 1_000_000
"""Orders dated ahead that the gauge counts."""

LEASE_NUMBERS: Final = 8_192
"""Numbers (or cards) leased by one durable update: half a second of work at full speed."""

LEASE_LOW_WATER: Final = 4_096
"""A lease is renewed in the background when fewer are left in memory."""

LEASE_LOOK_S: Final = 0.01
"""How often it is seen whether a lease is wished for; LEASE_LOW_WATER lasts many times longer."""

LEASE_SWEEP_S: Final = 5.0
"""How often the free lists are looked at."""

RECYCLE_INQUIRIES_MAX: Final = 1_000
"""Numbers that one HLR is asked about at once. They wait behind every order, about 1 kB each."""

RECYCLE_LOOK_S: Final = 1.0
"""How often it is seen whether quarantines have ended."""

RECYCLE_PATIENCE_S: Final = 60.0
"""Rest after an HLR answered nothing of use; its numbers stay quarantined meanwhile."""

RECYCLE_NOW_S: Final = 20.0
"""How long staff waits for an HLR that was asked about a number."""

RECYCLE_SHOWN_MAX: Final = 1_000
"""Numbers named in the answer to one `recycle now`."""

LEASE_BAGS_MAX: Final = 4
"""Bags (about one lease each) drawn empty after a lease should have been used up. An item that was
put back so often goes to the durable free list, so that the number of open leases stays bounded."""

GRADE_TAIL_DIGITS_MAX: Final = 6
"""Last digits that a grade's rule looks at. The table of the rules has a byte for each tail."""

GRADES_MAX: Final = 255
"""A grade is one byte of that table."""

RESERVATION_NUMBERS_MAX: Final = 100_000
"""Numbers of one reservation: the largest batch opening."""

RESERVATION_NAMED_MAX: Final = 1_000
"""Given numbers of one reservation, each of which can be refused by name."""

RESERVATION_TTL_S: Final = 1_800
RESERVATION_TTL_S_MAX: Final = 90 * 86_400
"""How long a reservation lasts that does not say; and at most, before it is extended."""

RESERVATION_SLICE: Final = 1_000
"""Numbers reserved, or released, in one transaction: some 20 ms."""

RESERVATION_PAGE_MAX: Final = 1_000
"""Numbers, or reservations, in one answer."""

RESERVATION_SWEEP_S: Final = 1.0
"""How often it is looked for reservations that expired."""

RESERVATION_FILLS_MAX: Final = 64
"""Reservations being filled at once. One more is told to come back; they share a connection."""

RESERVATIONS_IN_MEMORY_MAX: Final = 256
"""Reservations that orders draw from without I/O; the one used longest ago is dropped for another.
Each holds up to LEASE_NUMBERS + LEASE_LOW_WATER numbers, at some 150 bytes."""

SIM_FILE_LINE_BYTES_MAX: Final = 1_024
"""One line of a card vendor's file. A sane one is 70 to 200 bytes."""

SIM_FILE_ROWS_MAX: Final = 1_000_000
"""Cards of one file. The search for doubles keeps 25 bytes of each."""

SIM_FILE_BYTES_MAX: Final = 256 * 2**20
"""One file of a card vendor: a million lines of up to 200 bytes, and some room. On disk, never in
memory."""

SIM_FILE_FAULTS_MAX: Final = 1_000
"""Faults named in the answer to a POST; the error file of the import has all of them."""

SPOOL_BLOCK_BYTES: Final = 2**20
"""Of a spooled file hashed, sealed and written at once, beside the event loop: about 2 ms."""

SPOOL_FREE_BYTES_MIN: Final = 512 * 2**20
"""Left free on the disk of the spool, which may be PostgreSQL's as well."""

SIM_UPLOADS_MAX: Final = 2
"""Files of card vendors that are received at once."""

SIM_UPLOAD_TIMEOUT_S: Final = 3_600.0
"""Longest upload of one file: SIM_FILE_BYTES_MAX at 600 kbit/s. A silence ends it much sooner
(BODY_READ_TIMEOUT_S)."""

SIM_IMPORTS_OPEN_MAX: Final = 16
"""Imports that wait or run, one after the other; their spooled files together are 4 GiB or less."""

SIM_IMPORTS_SHOWN_MAX: Final = 100
"""Newest imports listed. The error file of an older one is removed."""

SIM_IMPORT_WAIT_S: Final = 5.0
"""A POST without `Prefer: wait` waits as long for the import, which a small file will not need."""

SIM_IMPORT_CHUNK_CARDS: Final = 2_000
"""Cards checked, or loaded in one transaction, at once: about 30 ms of PostgreSQL's time."""

SIM_IMPORT_REST: Final = 3.0
SIM_IMPORT_REST_S_MAX: Final = 0.2
"""An import rests this many times as long as each chunk took, while orders are being accepted, and
no longer than this: where the processor is short a chunk takes long without having cost much."""

SIM_IMPORT_FAILURES_MAX: Final = 5
"""Ends of an importer without any progress, one after another, after which its file is refused."""

ROUTES_MAX: Final = 100_000
"""Segments; a nation's number plan has some thousand."""

HOMES_MAX: Final = 256
"""HLRs of headquarters that a province's numbers are at; a nation has some dozen."""

FALLOUT_COUNTS_MAX: Final = 1_000
"""Lines of the counts by NE and code; codes are an NE's own, and some have hundreds."""

FALLOUT_PAGE_MAX: Final = 500
"""Orders of the fallout desk in one answer."""

FALLOUT_LOOK_S: Final = 0.5
"""How often it is looked for sheets to be opened, and for bulk acts that may go on."""

FALLOUT_BULK_SLICE: Final = 20
"""Orders of a bulk act let go in one transaction, about 10 ms of PostgreSQL's time."""

FALLOUT_BULK_UNDER_WAY_MAX: Final = 500
"""Orders of a bulk act that were let go and are not closed: a slow NE slows the act down, and its
sessions are left to the orders that upstream waits for."""

FALLOUT_BULK_SAMPLE: Final = 5
"""Orders that a proposal names, for the person who is to confirm it."""

FALLOUT_PROPOSAL_S: Final = 3_600.0
"""How long a proposal waits for its second person; by then other orders have fallen out."""

FALLOUT_PROPOSALS_MAX: Final = 50
"""Bulk acts that are proposed or carried out at once."""

FALLOUT_BULKS_SHOWN_MAX: Final = 100

FALLOUT_SHEETS_ASKED_MAX: Final = 50
"""Sheets that the EOMS is asked about at once, behind everything else."""

FALLOUT_SHEET_PATIENCE_S: Final = 30.0
"""An EOMS that says nothing of a sheet for so long is asked again later."""

FALLOUT_GAUGE_S: Final = 15.0
"""How often the gauges of the fallout desk are counted anew."""

MOVE_LOOK_S: Final = 0.2
"""Between two looks whether the orders of a segment that moves are carried out."""

MOVE_PAGE_BINDINGS: Final = 2_000
"""Bindings that get their new home in one transaction: some 20 ms of PostgreSQL's time."""

MOVE_VERIFIED_MAX: Final = 100_000
"""Subscribers that one verification asks for. Of more a random sample is taken: one in a thousand
that are missing is then found for certain, and it takes minutes."""

MOVE_INQUIRIES_MAX: Final = 500
"""Asked of the HLR at once; behind all orders."""

MOVE_SILENCE_S: Final = 30.0
"""An HLR that says nothing of those asked for so long has not proven anything."""

MOVE_EXAMPLES_MAX: Final = 100
"""Subscribers that a report names."""

MOVES_SHOWN_MAX: Final = 100

MASTER_LOOK_S: Final = 0.5
"""Between two looks whether the changes of state of a province are carried out."""

RECONCILE_USERS: Final = 1_000
"""Users compared with their state master at once, and repairs posted at once."""

RECONCILE_LIST_MAX: Final = 100_000
"""Users in one list; some 10 s, and 16 MiB hold about as many."""

RECONCILE_SHOWN_MAX: Final = 1_000
"""Differences that one answer names."""

AUDIT_FACTS_CHARS_MAX: Final = 4_000
"""What a row of the audit trail says was so before, or after; of more it keeps the digest."""

AUDIT_BATCH_ROWS: Final = 500
"""Rows of the audit trail written by one commit: some 10 ms, most of it one fsync."""

AUDIT_WAITING_MAX: Final = 5_000
"""Acts that wait for their row. People make few a second; above it the trail cannot be written."""

AUDIT_TIMEOUT_S: Final = 8.0
"""Longest wait for a row of the audit trail; then the act is refused."""

AUDIT_PAGE_ROWS: Final = 500
"""Rows read at once while the chain is walked: some 3 ms of the event loop's time."""

AUDIT_SHOWN_MAX: Final = 1_000
"""Rows in one answer."""

OPERATOR_TOKEN_CHARS_MAX: Final = 4_096
OPERATOR_TOKEN_LEEWAY_S: Final = 30.0
"""Of an operator's token: an honest one is a third of it, and the SSO's clock not far ahead."""

OPERATORS_KEPT_MAX: Final = 2_000
"""Tokens that were checked, until they expire, and answers on who may look: 400 bytes each."""

OPERATOR_KEYS_MAX: Final = 16
OPERATOR_KEYS_BYTES_MAX: Final = 64 * 2**10
"""Keys of the SSO, and the file they are in: one that signs, one before it, one to come."""

AUTHORIZATIONS_AT_ONCE_MAX: Final = 32
AUTHORIZATION_BYTES_MAX: Final = 4_096
"""Questions to the authorization service in flight, and its answer: one word."""

READ_RIGHT_FRESH_S: Final = 30.0
READ_RIGHT_STALE_S: Final = 3_600.0
"""How long its answer on who may look holds, and a yes while it is away. None on acts is kept."""

RECEIPT_ENDPOINTS_MAX: Final = 64
"""Each is a label of metrics, a few connections and up to 20 MB while many receipts wait."""

DELIVERIES_IN_FLIGHT_MAX: Final = 256
"""Receipts sent to one endpoint at once, at most; each is a connection."""

DELIVERIES_FRESH_MAX: Final = 2_000
"""Receipts of one endpoint read and not yet tried: 1.5 MB, half a second of work at full speed."""

DELIVERIES_HELD_MAX: Final = 50_000
"""Receipts of one endpoint that wait for a next try, at some 300 bytes each. With more the endpoint
gets no new ones until some of these are settled."""

DELIVERIES_MARK_S: Final = 0.25
"""Between two writings of how far the endpoints are: what is sent again after a kill."""

DELIVERIES_LAST_S: Final = 5.0
"""Given to receipts that are on their way when the daemon stops; a slower one goes once more."""

DELIVERY_ANSWER_BYTES_MAX: Final = 64 * 2**10
"""Read of an endpoint's answer and thrown away, so that its connection can be used again."""

REDELIVERY_RECEIPTS_MAX: Final = 100_000
"""Receipts that one word of staff sends again; a longer time is ordered in parts."""

REDELIVERY_SLICE: Final = 1_000
"""Receipts put back in one transaction."""

DELIVERIES_SHOWN_MAX: Final = 1_000

RECEIPT_STREAMS_MAX: Final = 256
"""Open event streams. They share one reading of each source's receipts."""

STREAM_RECENT_RECEIPTS: Final = 2_000
"""The last receipts of a source kept for its streams; who is further behind reads the journal."""

STREAM_GATHER_S: Final = 0.02
"""Rest between two readings for the streams of a source, however often receipts arrive."""

STREAM_HEARTBEAT_S: Final = 15.0
"""A silent stream says that it lives, since proxies cut what says nothing for half a minute."""

STREAM_WRITE_TIMEOUT_S: Final = 30.0
"""A client that takes nothing for so long is cut; it comes back by Last-Event-ID."""

BATCH_ROWS_MAX: Final = 500_000
"""Rows of one batch file. Its check keeps some 50 bytes of each; a larger file belongs in two."""

BATCH_FILE_BYTES_MAX: Final = 256 * 2**20
"""One batch file: BATCH_ROWS_MAX lines of some 500 bytes. On disk, never in memory."""

BATCH_BLANK_LINES_MAX: Final = 10_000
"""In a batch file: they are passed over between two rows, all at once (4 ms), and a packed body of
250 kB could hold BATCH_FILE_BYTES_MAX of them."""

BATCH_LINE_BYTES_MAX: Final = 4_096
"""One row, with room for long attributes."""

BATCH_UPLOADS_MAX: Final = 2
"""Batch files that are received at once."""

BATCHES_OPEN_MAX: Final = 64
"""Batch files that wait or run; they share one window, so more would only grow old."""

BATCHES_SHOWN_MAX: Final = 100
"""Batches in one answer, and the age in batches at which an error file is removed."""

BATCH_WAIT_S: Final = 5.0
"""A POST without `Prefer: wait` waits as long for the check, which a small file will not need."""

BATCH_CHECK_ROWS: Final = 200
"""Rows checked at once: some 5 ms of the event loop, and one query of each sort."""

BATCH_CHECK_REST: Final = 3.0
"""A check rests this many times as long as each slice took while orders are being accepted."""

BATCH_CHUNK_ROWS: Final = 200
"""Children handed in at once, behind one durable note that they are."""

BATCH_CHILDREN_MAX: Final = 2_000
BATCH_CHILDREN_MIN: Final = 50
"""Children under way at once, of all batches of a class together: a twelfth of the orders that
memory holds; and how many there may be however much else there is to do."""

BATCH_YIELDS_TO_ORDERS: Final = 8_000
"""Other orders in memory at which batches are down to BATCH_CHILDREN_MIN; on the way there they
give way in proportion. Urgent ones, an EC that has paid, do not."""

BATCH_CHILD_OLD_S: Final = 30.0
"""A child that is under way for longer waits for an NE or a person: it is no load, and others may
take its place."""

BATCH_CHILDREN_OPEN_MAX: Final = 20_000
"""Children under way at once, old ones too, at about 400 bytes each beside their order."""

BATCH_LOOK_S: Final = 0.05
"""How often the ends of children are written down, many together."""

BATCH_RESERVATION_TTL_S: Final = 90 * 86_400
"""How long the numbers of a batch are kept; what is left goes back at its end."""

FAN_OUTS_MAX: Final = 1_024
"""Orders with children under way at once, each at some kB. They share the window of children."""

KEEPALIVE_TIMEOUT_S: Final = 30.0
"""Idle or slow-header clients are cut after it. aiohttp's default of an hour invites slowloris."""

BODY_READ_TIMEOUT_S: Final = 30.0
"""A body that takes longer is cut; aiohttp itself never does."""

HTTP_CONNECTIONS_MAX: Final = 1_024
"""Open connections of the API. Upstream systems are few and keep theirs; one more is told 503."""

ACCOUNTS_MAX: Final = 256
"""Accounts that source systems log in by: seven systems, some accounts each, and room."""

SESSIONS_OF_ACCOUNT_MAX: Final = 64
"""The most a site may set. With ACCOUNTS_MAX it bounds all sessions: some 300 bytes each, 5 MB."""

SESSION_LIFETIME_S_MAX: Final = 7 * 86_400.0
SESSION_IDLE_S_MAX: Final = 86_400.0
"""The most a site may set: a token that was stolen is of no use after it."""

SESSIONS_LOOK_S: Final = 1.0
"""Between two looks for sessions that are over. No request waits for it to be refused."""

LOGIN_BYTES_MAX: Final = 4 * 2**10
PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 8, 256
"""Of a login, which is read for anybody."""

SECRET_FILE_BYTES_MAX: Final = 64 * 2**10
"""Of a password, or of the secrets of a receipt endpoint: a few lines."""

LOGINS_OF_ADDRESS_PER_S, LOGINS_OF_ADDRESS_BURST = 5.0, 50
LOGINS_PER_S, LOGINS_BURST = 20.0, 100
"""Logins that are looked at, of one address (a site's systems may start together behind one) and of
all: each costs a row of the audit trail. Sessions are kept, so an honest system has few."""

LOCK_AFTER_MAX, LOCK_S_MAX = 20, 3_600.0
"""The most a site may set: wrong passwords in a row, and how long they lock an account."""

LOGIN_NAMES_MAX: Final = 75_000
"""Names with wrong passwords, those of nobody too, remembered for LOCK_S_MAX: 15 MB at worst."""

HTTP_LINE_BYTES_MAX: Final = 4 * 2**10
"""The request line, and any one header."""

HTTP_HEADERS_MAX: Final = 64

BODIES_BYTES_MAX: Final = 8 * BODY_BYTES_MAX
"""All request bodies being read and decoded at once; a body of unknown length counts in full."""

BATCH_COMMAS_MAX: Final = 64 * BATCH_ORDERS_MAX
"""Commas in the JSON of one batch, an order having some 15. Told before decoding, since an array
of millions of small elements costs hundreds of megabytes before its length is known."""

DECODE_SLICE_ORDERS: Final = 500
"""Orders decoded in one turn of the event loop: about 3 ms."""

SETTLE_TIMEOUT_S: Final = 60.0
"""Longest wait for orders to become durable or refused. After it upstream is told to ask again."""

GC_OBJECTS: Final = 100_000
"""New objects between two looks for garbage cycles. An order makes none, so the default of 700
would walk the open orders for nothing: measured, a tenth of the daemon's time."""

PAYMENT_RESUME_DUE_S: Final = 300.0
"""Operators are measured by it (5分钟缴费开机及时率): from the order to the HLR's word."""

assert BODY_BYTES_MAX <= BODIES_BYTES_MAX, "the largest body would never be read"
assert LEASE_LOW_WATER < LEASE_NUMBERS, "a lease would be renewed as soon as it is taken"
assert UNPARK_ORDERS <= ORDERS_IN_MEMORY_MAX, "unparked orders would overflow memory"
assert min(ADMISSION_SHARES) * ORDERS_ARRIVING_MAX >= BATCH_ORDERS_MAX, "no full batch would fit"
assert len(ADMISSION_SHARES) == PRIORITIES
assert BATCH_ORDERS_MAX <= ORDERS_IN_MEMORY_MAX, "one batch would be parked at once"
assert FLUSH_GATHER_ROWS <= FLUSH_SPLIT_ROWS, "a flush would rest while another is worth it"
assert RETRY_DELAY_S_MIN < RETRY_DELAY_S_MAX
assert LOGINS_PER_S * LOCK_S_MAX + LOGINS_BURST <= LOGIN_NAMES_MAX, "a flood would unlock accounts"
