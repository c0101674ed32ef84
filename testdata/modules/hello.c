// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that does nothing. It has a parameter that takes a number.
#include <linux/module.h>

static int n;
module_param(n, int, 0444);
MODULE_PARM_DESC(n, "any number");

static int __init hello_init(void)
{
	pr_info("hello: here\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
}
module_exit(hello_exit);

MODULE_DESCRIPTION("does nothing");
MODULE_LICENSE("GPL");
