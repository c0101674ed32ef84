// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module whose init writes where nothing is.
#include <linux/module.h>

static int __init init_oopses_init(void)
{
	*(volatile int *)8 = 1;
	return 0;
}
module_init(init_oopses_init);

MODULE_DESCRIPTION("oopses in init");
MODULE_LICENSE("GPL");
