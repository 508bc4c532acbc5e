"""A province's IoT management platform (省物联网运营管理平台): the first hop of class 2 and 3
(docs/ne/platforms.md). It passes everything on to the nationwide platform, so all it says at first
is that it has taken a change.
"""

from adapters.subscriptions import PRODUCT_CLASS, PUBLISH, SUBSCRIPTIONS, SubscriptionPlatform


class ProvinceManagement(SubscriptionPlatform):
    dialect = "province_management"
    operations = SUBSCRIPTIONS | {PUBLISH}
    path = "/management/v1"
    options = SubscriptionPlatform.options | {PRODUCT_CLASS}
    class_default = "2"
