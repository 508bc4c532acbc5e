"""The IoT business gateway (物联网业务网关): lets the traffic of enterprises and users through
(docs/ne/platforms.md). The last hop of every chain; it keeps no catalogue of products.
"""

from adapters.subscriptions import SUBSCRIPTIONS, SubscriptionPlatform


class IoTGateway(SubscriptionPlatform):
    dialect = "iot_gateway"
    operations = SUBSCRIPTIONS
    path = "/gateway/v1"
