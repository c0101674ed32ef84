// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A driver of a USB device that nobody has.
#include <linux/module.h>
#include <linux/usb.h>

static int usb_table_probe(struct usb_interface *interface, const struct usb_device_id *id)
{
	dev_info(&interface->dev, "here\n");
	return 0;
}

static void usb_table_disconnect(struct usb_interface *interface)
{
}

static const struct usb_device_id usb_table_ids[] = {
	{ USB_DEVICE(0x1209, 0x0001) },
	{ USB_DEVICE_AND_INTERFACE_INFO(0x1209, 0x0002, USB_CLASS_VENDOR_SPEC, 1, 2) },
	{ }
};
MODULE_DEVICE_TABLE(usb, usb_table_ids);

static struct usb_driver usb_table_driver = {
	.name = "usb_table",
	.id_table = usb_table_ids,
	.probe = usb_table_probe,
	.disconnect = usb_table_disconnect,
};
module_usb_driver(usb_table_driver);

MODULE_DESCRIPTION("has a table of USB devices");
MODULE_LICENSE("GPL");
