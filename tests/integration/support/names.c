// SPDX-License-Identifier: Apache-2.0
// Preloaded into weir: answers getaddrinfo() from the file WEIR_NAMES_FILE, which a test changes while weir runs. A line
// is `NAME DELAY_MS ADDRESS...`; without an address the look-up fails after its delay. Names that are not in the file
// are asked for as ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int lookup(const char*, const char*, const struct addrinfo*, struct addrinfo**);

static lookup* real(void) {
  lookup* found;
  *(void**)&found = dlsym(RTLD_NEXT, "getaddrinfo");
  return found;
}

// The rest of the line that begins with `name`, in `line`; NULL when there is none.
static char* find(const char* name, char* line, int size) {
  const char* path = getenv("WEIR_NAMES_FILE");
  FILE* const file = path != NULL ? fopen(path, "re") : NULL;
  if (file == NULL) return NULL;
  const size_t length = strlen(name);
  char* found = NULL;
  while (found == NULL && fgets(line, size, file) != NULL) {
    if (strncmp(line, name, length) == 0 && line[length] == ' ') found = line + length + 1;
  }
  fclose(file);
  return found;
}

// One list of answers behind the other; each address is a text that the real function only has to read.
static int append(struct addrinfo** out, const char* address, const char* service, const struct addrinfo* hints) {
  struct addrinfo numeric = {.ai_socktype = hints->ai_socktype, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  while (*out != NULL) out = &(*out)->ai_next;
  return real()(address, service, &numeric, out);
}

int getaddrinfo(const char* restrict node, const char* restrict service, const struct addrinfo* restrict hints,
                struct addrinfo** restrict result) {
  char line[1024];
  char* rest = node != NULL ? find(node, line, sizeof line) : NULL;
  if (rest == NULL) return real()(node, service, hints, result);
  char* state = NULL;
  const long delay = strtol(strtok_r(rest, " \n", &state), NULL, 10);
  const struct timespec pause = {delay / 1000, delay % 1000 * 1000000};
  nanosleep(&pause, NULL);
  *result = NULL;
  for (char* word = strtok_r(NULL, " \n", &state); word != NULL; word = strtok_r(NULL, " \n", &state)) {
    const int error = append(result, word, service, hints);
    if (error != 0) return error;
  }
  return *result != NULL ? 0 : EAI_NONAME;
}
