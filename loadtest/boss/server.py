"""The HTTP interface of the emulated BOSS.

What its staff and its credit control ask. Bodies are JSON.

POST /bills              [{"account_id", "amount"}]: 出账; the balance falls
POST /credit-control     {"users"? | "accounts"? (lists of ids; neither: all in arrears), "level"?
                         (2), "bill_month"?, "rate"? (users a second; absent: as fast as may be),
                         "operator_id"?}: 202 {"run", "users"}                     F10, F11
GET  /credit-control/{run}  {"users", "ordered", "closed", "failed", "is_over"}
POST /products/{product}/tariffs  {"operator_id", "rating", "billing"}: 产品资费配置   F01
GET /ui, POST /ui/operations      as the CRM's (F02, F03), with the rights of BOSS

What CRM asks:
POST /customers          [{"customer_id", "account_id", "name", "operator_id"}]  创建客户、账户请求
POST /products           [{"product", "name", "services", "operator_id"}]          产品信息请求
POST /bookings           定购类订单请求: opening, subscription, cancellation, and their reversal
POST /state-orders       用户状态变更类订单请求
POST /payments           [{"account_id", "amount", "payment_id", "operator_id"}]   缴费、销账

To look up: GET /accounts/{account_id} {"balance", "state" (normal, arrears), "users": […]};
GET /users/{user_id} {"state", "reasons", "level", "state_version", "cause" (停机原因), "products"};
GET /customers/{customer_id}; GET /products/{product} {"number", "name", "tariffs"};
GET /orders/{order_id} as the CRM's: the orders that BOSS makes itself as the state master;
GET /orders?user_id=…

The control port has beside that of every system: GET /channel; POST /channel/lose, /channel/close,
/channel/open (F04); PUT /backup {"sends": "BOSS" | "CRM" | "both"}; POST /rows {"customers",
"accounts", "users"} to fill the tables, as /dump shows the rows.
/dump has one row a line, as {"table": "users", "row": {…}}.
"""
