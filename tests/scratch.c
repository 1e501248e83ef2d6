#include "tests/scratch.h"

#include <dirent.h>
#include <unistd.h>

#include "tests/test.h"

static char folder[] = "/tmp/primer-test-XXXXXX";

int scratch_make(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

const char *scratch_folder(void) {
    return folder;
}

const char *scratch_path(const char *name) {
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* Calls each on every entry but "." and ".."; returns how many there are. */
static int for_entries(void (*each)(const char *name)) {
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (each) each(e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

int scratch_entries(void) {
    return for_entries(NULL);
}

static void remove_entry(const char *name) {
    remove(scratch_path(name));
}

int scratch_empty(void **state) {
    (void)state;
    for_entries(remove_entry);
    return 0;
}

int scratch_remove(void **state) {
    scratch_empty(state);
    return rmdir(folder);
}

void scratch_write(const char *path, const void *bytes, size_t size) {
    remove(path); /* writing over a file makes some filesystems wait for the disk */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

unsigned char *scratch_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

/* xorshift64*, Vigna 2016. */
static uint64_t draw(uint64_t *seed) {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

void scratch_mutate(const char *path, size_t lengths, size_t head, int mutants,
                    void (*open_and_use)(const char *path)) {
    static const unsigned char telling[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', 4};
    size_t size;
    uint64_t seed = 20191106;
    unsigned char *good = scratch_read(path, &size), *bad = malloc(size);
    assert_non_null(bad);
    char mutant[512];
    snprintf(mutant, sizeof mutant, "%s", scratch_path("mutant"));
    for (size_t length = 0; length < lengths; length++) {
        scratch_write(mutant, good, length);
        open_and_use(mutant);
    }
    for (int i = 0; i < mutants; i++) {
        memcpy(bad, good, size);
        for (uint64_t n = 1 + draw(&seed) % 8; n > 0; n--) {
            size_t at = draw(&seed) % (draw(&seed) % 8 ? head : size);
            uint64_t how = draw(&seed) % 16;
            bad[at] = how < 8 ? telling[how] : (unsigned char)(bad[at] ^ 1u << (how - 8));
        }
        scratch_write(mutant, bad, size);
        open_and_use(mutant);
    }
    free(good);
    free(bad);
}

void assert_says(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' does not say '%s'", text, part);
}
