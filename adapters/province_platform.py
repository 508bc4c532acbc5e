"""An in-province business platform (省内业务平台) of class 2 and 3 products
(docs/ne/platforms.md). It knows products, enterprises and users, and answers for itself.
"""

from adapters.subscriptions import PUBLISH, SUBSCRIPTIONS, SubscriptionPlatform


class ProvincePlatform(SubscriptionPlatform):
    dialect = "province_platform"
    operations = SUBSCRIPTIONS | {PUBLISH}
    path = "/province/v1"
