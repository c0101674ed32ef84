/*
 * Looks names up with libkmod, as the peer of kmodd's bench. Built and run by
 * kmodlab bench only; nothing that ships links libkmod.
 *
 *	lookup DIRECTORY ROUNDS <NAMES
 *
 * DIRECTORY holds the tables, as /lib/modules/VERSION. Of each name, one a
 * line, it prints the modules in one line, in libkmod's order. Then it looks
 * all names up again ROUNDS times, and prints how many nanoseconds each round
 * took.
 */
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what, int err)
{
	fprintf(stderr, "lookup: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static char **read_names(size_t *count)
{
	char **names = NULL, *line = NULL;
	size_t room = 0, size = 0;
	ssize_t length;

	*count = 0;
	while ((length = getline(&line, &size, stdin)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (*count == room) {
			room = room ? 2 * room : 1024;
			names = realloc(names, room * sizeof(*names));
		}
		if (names == NULL || (names[*count] = strdup(line)) == NULL)
			fail("read names", 12 /* ENOMEM */);
		++*count;
	}
	free(line);
	return names;
}

/* A name that is no alias at all, as one with an unclosed bracket, leads nowhere. */
static struct kmod_list *look_up(struct kmod_ctx *ctx, const char *name)
{
	struct kmod_list *list = NULL;

	if (kmod_module_new_from_lookup(ctx, name, &list) < 0)
		return NULL;
	return list;
}

static void print_modules(struct kmod_list *list)
{
	struct kmod_list *item;
	const char *space = "";

	kmod_list_foreach(item, list) {
		struct kmod_module *module = kmod_module_get_module(item);

		printf("%s%s", space, kmod_module_get_name(module));
		space = " ";
		kmod_module_unref(module);
	}
	putchar('\n');
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	const char *no_configuration[] = { NULL };
	struct kmod_ctx *ctx;
	char **names;
	size_t count;
	int err;

	if (argc != 3)
		fail("usage: lookup DIRECTORY ROUNDS", 22 /* EINVAL */);
	names = read_names(&count);
	ctx = kmod_new(argv[1], no_configuration);
	if (ctx == NULL)
		fail("kmod_new", 12);
	err = kmod_load_resources(ctx);
	if (err < 0)
		fail("kmod_load_resources", err);
	for (size_t i = 0; i < count; i++) {
		struct kmod_list *list = look_up(ctx, names[i]);

		print_modules(list);
		kmod_module_unref_list(list);
	}
	for (int round = atoi(argv[2]); round > 0; round--) {
		long long began = now();

		for (size_t i = 0; i < count; i++)
			kmod_module_unref_list(look_up(ctx, names[i]));
		printf("%lld\n", now() - began);
	}
	return 0;
}
