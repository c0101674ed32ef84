// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that can't go in unless gives.ko is in, and its own licence goes with the GPL.
#include <linux/module.h>

extern int kmodlab_freely;

static int __init needs_gpl_init(void)
{
	return kmodlab_freely;
}
module_init(needs_gpl_init);

static void __exit needs_gpl_exit(void)
{
}
module_exit(needs_gpl_exit);

MODULE_DESCRIPTION("needs the symbol kmodlab_freely");
MODULE_LICENSE("GPL");
