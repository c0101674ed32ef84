/*
 * Looks names up with libkmod, as the peer of kmodd's bench. Built and run by
 * kmodlab bench only; nothing that ships links libkmod.
 *
 *	lookup DIRECTORY NAMES...
 *
 * DIRECTORY holds the tables, as /lib/modules/VERSION; each NAMES is a file of
 * names, one a line. Of each name it prints the modules in one line, in
 * libkmod's order. Then for every line that it is sent it looks all names up
 * again, and prints in one line how many nanoseconds each file took.
 */
#include <errno.h>
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

struct names {
	char **name;
	size_t count;
};

static struct names read_names(const char *path)
{
	struct names names = { NULL, 0 };
	char *line = NULL;
	size_t room = 0, size = 0;
	ssize_t length;
	FILE *file = fopen(path, "r");

	if (file == NULL)
		fail(path, errno);
	while ((length = getline(&line, &size, file)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (names.count == room) {
			room = room ? 2 * room : 1024;
			names.name = realloc(names.name, room * sizeof(*names.name));
		}
		if (names.name == NULL || (names.name[names.count] = strdup(line)) == NULL)
			fail("read names", ENOMEM);
		++names.count;
	}
	free(line);
	fclose(file);
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

static long long time_all(struct kmod_ctx *ctx, const struct names *names)
{
	long long began = now();

	for (size_t i = 0; i < names->count; i++)
		kmod_module_unref_list(look_up(ctx, names->name[i]));
	return now() - began;
}

static struct kmod_ctx *open_tables(const char *directory)
{
	const char *no_configuration[] = { NULL };
	struct kmod_ctx *ctx = kmod_new(directory, no_configuration);
	int err;

	if (ctx == NULL)
		fail("kmod_new", ENOMEM);
	err = kmod_load_resources(ctx);
	if (err < 0)
		fail("kmod_load_resources", err);
	return ctx;
}

int main(int argc, char **argv)
{
	struct kmod_ctx *ctx;
	struct names *files;
	int count = argc - 2;

	if (count < 1)
		fail("usage: lookup DIRECTORY NAMES...", EINVAL);
	files = calloc(count, sizeof(*files));
	if (files == NULL)
		fail("read names", ENOMEM);
	for (int f = 0; f < count; f++)
		files[f] = read_names(argv[f + 2]);
	ctx = open_tables(argv[1]);
	for (int f = 0; f < count; f++) {
		for (size_t i = 0; i < files[f].count; i++) {
			struct kmod_list *list = look_up(ctx, files[f].name[i]);

			print_modules(list);
			kmod_module_unref_list(list);
		}
	}
	fflush(stdout);
	for (int c = getchar(); c != EOF; c = getchar()) {
		if (c != '\n')
			continue;
		for (int f = 0; f < count; f++)
			printf("%lld%c", time_all(ctx, &files[f]), f + 1 < count ? ' ' : '\n');
		fflush(stdout);
	}
	return 0;
}
