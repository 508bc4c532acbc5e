"""A class-1 business platform (一类业务平台), nationwide and under headquarters
(docs/ne/platforms.md). It knows products, enterprises and users, and answers for itself.
"""

from adapters.subscriptions import PUBLISH, SUBSCRIPTIONS, SubscriptionPlatform


class Class1Platform(SubscriptionPlatform):
    dialect = "class1_platform"
    operations = SUBSCRIPTIONS | {PUBLISH}
    path = "/class1/v1"
