"""The nationwide IoT management platform (物联网全网运营管理平台), of which there is one
(docs/ne/platforms.md). Class 1 it keeps, since headquarters tells the gateway itself; class 2 and 3
it passes on to the gateway. A nationwide platform that a province built is reached here straight:
by an NE of this dialect whose option `product_class` is 2 or 3.
"""

from adapters.subscriptions import PRODUCT_CLASS, PUBLISH, SUBSCRIPTIONS, SubscriptionPlatform


class NationwideManagement(SubscriptionPlatform):
    dialect = "nationwide_management"
    operations = SUBSCRIPTIONS | {PUBLISH}
    path = "/nationwide/v1"
    options = SubscriptionPlatform.options | {PRODUCT_CLASS}
    class_default = "1"
