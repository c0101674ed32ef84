// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A driver of a device that a device tree may name.
#include <linux/module.h>
#include <linux/mod_devicetable.h>
#include <linux/platform_device.h>

static int of_table_probe(struct platform_device *dev)
{
	dev_info(&dev->dev, "here\n");
	return 0;
}

static const struct of_device_id of_table_ids[] = {
	{ .compatible = "kmodlab,sensor" },
	{ .compatible = "kmodlab,sensor-v2" },
	{ }
};
MODULE_DEVICE_TABLE(of, of_table_ids);

static struct platform_driver of_table_driver = {
	.driver = { .name = "of_table", .of_match_table = of_table_ids },
	.probe = of_table_probe,
};
module_platform_driver(of_table_driver);

MODULE_DESCRIPTION("has a table of devices in device trees");
MODULE_LICENSE("GPL");
