// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that does nothing, and takes a parameter of every type that there is.
#include <linux/module.h>

static unsigned char a_byte;
module_param(a_byte, byte, 0444);
MODULE_PARM_DESC(a_byte, "0 to 255");
static short a_short;
module_param(a_short, short, 0444);
static unsigned short a_ushort;
module_param(a_ushort, ushort, 0444);
static int an_int;
module_param(an_int, int, 0644);
MODULE_PARM_DESC(an_int, "any number, to be changed at any time");
static unsigned int a_uint;
module_param(a_uint, uint, 0444);
static unsigned int a_hexint;
module_param(a_hexint, hexint, 0444);
static long a_long;
module_param(a_long, long, 0444);
static unsigned long a_ulong;
module_param(a_ulong, ulong, 0444);
static unsigned long long a_ullong;
module_param(a_ullong, ullong, 0444);
static char *a_charp = "nothing";
module_param(a_charp, charp, 0444);
MODULE_PARM_DESC(a_charp, "any text of up to 1024 bytes");
static bool a_bool;
module_param(a_bool, bool, 0444);
static bool an_invbool;
module_param(an_invbool, invbool, 0444);
static int a_bint;
module_param(a_bint, bint, 0444);

static int numbers[3];
static int numbers_given;
module_param_array(numbers, int, &numbers_given, 0444);
MODULE_PARM_DESC(numbers, "up to three numbers");
static char *names[2];
module_param_array(names, charp, NULL, 0444);
MODULE_PARM_DESC(names, "up to two names");

static char text[8];
module_param_string(text, text, sizeof(text), 0444);
MODULE_PARM_DESC(text, "up to seven bytes");

/* One of a type of its own, which says nothing of itself in .modinfo. */
static int even_set(const char *value, const struct kernel_param *kp)
{
	int n, err = kstrtoint(value, 0, &n);

	return err ? err : n % 2 ? -EINVAL : param_set_int(value, kp);
}

static const struct kernel_param_ops even_ops = { .set = even_set, .get = param_get_int };
static int even;
module_param_cb(even, &even_ops, &even, 0444);

MODULE_DESCRIPTION("takes parameters of every type");
MODULE_LICENSE("GPL");
