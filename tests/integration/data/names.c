/* getaddrinfo as a test wants it. $NAMES is a file of lines "NAME MILLISECONDS ADDRESS...": how long an answer takes, and what it is.
   Other names are the C library's. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One block, as the C library's own: its freeaddrinfo frees it. */
static struct addrinfo *made(const char *address, struct addrinfo *next) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *)(info + 1);
    in->sin_family = AF_INET;
    inet_pton(AF_INET, address, &in->sin_addr);
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addr = (struct sockaddr *)in;
    info->ai_addrlen = sizeof *in;
    info->ai_next = next;
    return info;
}

static struct addrinfo *all(char *addresses) {
    char *rest = NULL;
    char *first = strtok_r(addresses, " \n", &rest);
    return first ? made(first, all(rest)) : NULL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    FILE *file = fopen(getenv("NAMES"), "re");
    char line[1024];
    while (file && name && fgets(line, sizeof line, file)) {
        char known[256];
        long milliseconds = 0;
        int used = 0;
        if (sscanf(line, "%255s %ld %n", known, &milliseconds, &used) < 2 || strcmp(known, name) != 0) continue;
        fclose(file);
        const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&time, NULL);
        *found = all(line + used);
        return *found ? 0 : EAI_AGAIN;
    }
    if (file) fclose(file);
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, found);
}
