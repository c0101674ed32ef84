// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module whose init takes an hour.
#include <linux/delay.h>
#include <linux/module.h>

static int __init init_sleeps_init(void)
{
	ssleep(3600);
	return 0;
}
module_init(init_sleeps_init);

static void __exit init_sleeps_exit(void)
{
}
module_exit(init_sleeps_exit);

MODULE_DESCRIPTION("sleeps in init");
MODULE_LICENSE("GPL");
