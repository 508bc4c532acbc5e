"""hlrd: the service-provisioning (服务开通) daemon of a mobile operator's IoT business."""

__version__ = "0.1.0"
