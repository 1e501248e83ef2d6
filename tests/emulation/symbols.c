/* What the program's own table of symbols says: kernels' names, and where the variables are that
 * kernels call __shared__. Those are variables of C++ functions (_ZZ...) that clang has put into a
 * section of their own; gcc, which does not do so in templates, has them among the other writable
 * ones, of which kernels have none. */
#include "tests/emulation/internal.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The C++ runtime's. NOLINTNEXTLINE(bugprone-reserved-identifier) */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *bytes, int *status);

typedef struct named {
    uintptr_t at;
    const char *mangled;
    const char *name; /* once it was asked for */
} named;

static struct {
    bool read;
    named *functions; /* by address */
    size_t n_functions;
    emulation_range *shared;
    size_t n_shared;
} table;

static const unsigned char *map_program(void) {
    struct stat status;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    void *at = MAP_FAILED;
    if (file >= 0 && !fstat(file, &status)) {
        at = mmap64(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (at == MAP_FAILED) {
        perror("emulation: /proc/self/exe");
        abort();
    }
    close(file);
    return at;
}

/* The first that is told of is the program itself. */
static int take_base(struct dl_phdr_info *info, size_t bytes, void *base) {
    (void)bytes;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

static bool is_shared(const ElfW(Sym) * symbol, const char *name, const ElfW(Shdr) * section,
                      const char *section_name) {
    if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || strncmp(name, "_ZZ", 3) != 0) return false;
#ifdef __clang__
    (void)section;
    return !strcmp(section_name, ".pr_shared");
#else
    (void)section_name;
    return section->sh_flags & SHF_WRITE;
#endif
}

static int by_address(const void *a, const void *b) {
    uintptr_t x = ((const named *)a)->at, y = ((const named *)b)->at;
    return (x > y) - (x < y);
}

static void read_symbols(const unsigned char *file, const ElfW(Shdr) * sections, int index,
                         const char *section_names, uintptr_t base) {
    const ElfW(Shdr) *s = &sections[index];
    const ElfW(Sym) *symbols = (const void *)(file + s->sh_offset);
    const char *names = (const char *)file + sections[s->sh_link].sh_offset;
    size_t n = s->sh_size / sizeof *symbols;
    table.functions = emulation_new(n * sizeof *table.functions);
    table.shared = emulation_new(n * sizeof *table.shared);
    for (size_t i = 0; i < n; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE) continue;
        const char *name = names + symbol->st_name;
        const ElfW(Shdr) *section = &sections[symbol->st_shndx];
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC) {
            table.functions[table.n_functions++] = (named){base + symbol->st_value, name, NULL};
        } else if (is_shared(symbol, name, section, section_names + section->sh_name)) {
            table.shared[table.n_shared++] =
                (emulation_range){(void *)(base + symbol->st_value), symbol->st_size};
        }
    }
    qsort(table.functions, table.n_functions, sizeof *table.functions, by_address);
}

static void read_program(void) {
    table.read = true;
    uintptr_t base = 0;
    dl_iterate_phdr(take_base, &base);
    const unsigned char *file = map_program(); /* kept: names point into it */
    const ElfW(Ehdr) *header = (const void *)file;
    const ElfW(Shdr) *sections = (const void *)(file + header->e_shoff);
    const char *names = (const char *)file + sections[header->e_shstrndx].sh_offset;
    for (int i = 0; i < header->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB) read_symbols(file, sections, i, names, base);
}

/* Cut to what a reader knows a function by: without its type and its parameters. */
static char *shorten(char *name) {
    size_t end = strlen(name);
    int depth = 0;
    while (end) {
        end--;
        depth += (name[end] == ')') - (name[end] == '(');
        if (name[end] == '(' && !depth) break;
    }
    if (end) name[end] = '\0';
    return strncmp(name, "void ", 5) ? name : name + 5;
}

const char *emulation_symbol(const void *function) {
    if (!table.read) read_program();
    named key = {.at = (uintptr_t)function}, *found = NULL;
    if (table.n_functions) {
        found = bsearch(&key, table.functions, table.n_functions, sizeof key, by_address);
    }
    if (!found) return NULL;
    if (!found->name) {
        char *plain = __cxa_demangle(found->mangled, NULL, NULL, NULL);
        found->name = plain ? shorten(plain) : found->mangled;
    }
    return found->name;
}

const emulation_range *emulation_shared_variables(size_t *n) {
    if (!table.read) read_program();
    *n = table.n_shared;
    return table.shared;
}
