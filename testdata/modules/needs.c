// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that can't go in unless gives.ko is in.
#include <linux/module.h>

extern int kmodlab_given;

static int __init needs_init(void)
{
	return kmodlab_given;
}
module_init(needs_init);

static void __exit needs_exit(void)
{
}
module_exit(needs_exit);

MODULE_DESCRIPTION("needs the symbol kmodlab_given");
MODULE_LICENSE("GPL");
