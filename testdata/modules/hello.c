// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that does nothing. It has a parameter that takes a number, and one that can be
// set while it is in.
#include <linux/module.h>

static int n;
module_param(n, int, 0444);
MODULE_PARM_DESC(n, "any number");

static int goodbyes = 1;
module_param(goodbyes, int, 0644);
MODULE_PARM_DESC(goodbyes, "how often to say goodbye");

static int __init hello_init(void)
{
	pr_info("hello: here\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	int i;

	for (i = 0; i < goodbyes; i++)
		pr_info("hello: goodbye\n");
}
module_exit(hello_exit);

MODULE_DESCRIPTION("does nothing");
MODULE_LICENSE("GPL");
