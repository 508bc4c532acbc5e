"""The HTTP interface of the emulated CRM.

What the UI asks (CRM 界面). Bodies are JSON, each names its `operator_id`. `mode` is "async"
(default: answered as soon as the order is decomposed) or "sync" (answered when the order is closed,
at latest after `deadline_ms`, 10,000 by default; 处理中 is no failure). What makes an order answers
it as `GET /orders/{id}` shows it: 200 when it is closed, 202 while it is not.

POST /customers   {"operator_id", "name", "customer_id"?, "account_id"?}         F05; 201
POST /products    {"operator_id", "product", "product_version", "name", "services", "platforms"?,
                   "on_stopped_line"?, "description"?}   F01; as PRODUCT_PUBLISH has them; again
                                                         with the same version: publishes it again
POST /users       {"operator_id", "province", "account_id", "user_id"?, "msisdn", "imsi", "iccid",
                   "services"?, "ki"?, "keyid"?, "algorithm"?, "card_type"?, "mode"?,
                   "deadline_ms"?}                                               F06, F07
POST /users/{user_id}/products          {"operator_id", "product", "product_version"?,
                                         "attributes"?, "mode"?, "deadline_ms"?} F08, F09
POST /users/{user_id}/products/{product}/cancellation  {"operator_id", "mode"?, "deadline_ms"?}
POST /users/{user_id}/stop, …/resume    {"operator_id", "cause"?, "level"? (2), "mode"?,
                                         "deadline_ms"?}                         F15, F16
POST /payments    {"operator_id", "account_id", "amount", "payment_id"?}         F12, F13, F14; 200
                  {"payment_id", "balance", "account_state"}: paid, whatever the network does
`POST /users` and `POST /users/{user_id}/products` also take an array (async, answered by an array;
items of the latter path then name their "user_id" and the path is `POST /subscriptions`).

GET /ui                           F02, F03: 302 to the SSO's login without its cookie; with it
                                  {"operator", "operations": [right, …]}
POST /ui/operations               {"right", "subject", "body"?}: cookie checked, authorized, then
                                  done at hlrd's staff API with the operator's own token (the
                                  request's Authorization); {"status", "content"} of hlrd

To look up: GET /orders/{order_id} {"order_id", "root_order_id", "act", "operator_id", "user_id",
"state" (open, reversing, closed), "result" ("", succeeded, failed, reversed), "code", "text",
"sub_orders": [{"kind" (定购类, 开通类, 用户状态变更类), "order_id", "to" (BOSS, CRM, hlrd),
"state" (waiting, done, failed, reversed), "code", "text", "marks"}]}; GET /orders?user_id=…;
GET /users/{user_id} {"state", "reasons": {"ARREARS": 2, …}, "level", "state_version", "cause"
(停机原因), "products": {product: version}, …}; GET /accounts/{account_id};
GET /customers/{customer_id}; GET /products/{product} {"state": created, publishing, active, failed}

What BOSS asks (arrays, answered in place):
POST /state-requests         用户状态变更请求: its master's word to copy, or what CRM is to order
POST /provisioning-answers   开通类订单响应 of what BOSS ordered for an order of CRM
POST /product-feedback       产品反馈: the tariffs of a product are configured

The control port has beside that of every system: GET /channel; POST /channel/lose, /channel/close,
/channel/open (F04); PUT /backup {"sends": "BOSS" | "CRM" | "both"}; POST /rows {"customers",
"accounts", "users"} to fill the tables, as /dump shows the rows.
/dump has one row a line, as {"table": "users", "row": {…}}.
"""
