/* A program like any other: compiled against Gluster's own header, linked with -lgfapi.
 * Writes, syncs, reads back, through the synchronous calls and one callback. */
#include <glusterfs/api/glfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(what)                                   \
    do {                                              \
        if (!(what)) {                                \
            perror("line " LINE(__LINE__) ": " #what); \
            exit(1);                                  \
        }                                             \
    } while (0)
#define LINE(number) LINE_TEXT(number)
#define LINE_TEXT(number) #number

static int pipe_ends[2];

static void done(glfs_fd_t *fd, ssize_t ret, struct glfs_stat *pre, struct glfs_stat *post,
                 void *data)
{
    (void)fd, (void)pre, (void)post;
    char good = ret == 4096 && data == pipe_ends;
    if (write(pipe_ends[1], &good, 1) != 1)
        abort();
}

int main(int count, char **arguments)
{
    char written[4096], back[4096], good = 0;
    struct stat stat;
    CHECK(count == 3);
    glfs_t *fs = glfs_new(arguments[2]);
    CHECK(fs && !glfs_set_volfile_server(fs, "unix", arguments[1], 0));
    CHECK(!glfs_set_xlator_option(fs, "*-write-behind", "pass-through", "true"));
    CHECK(!glfs_init(fs));
    glfs_fd_t *fd = glfs_creat(fs, "/c.img", O_RDWR | O_EXCL, 0644);
    CHECK(fd);
    memset(written, 'c', sizeof written);
    CHECK(glfs_pwrite(fd, written, 4096, 8192, 0, NULL, NULL) == 4096);
    CHECK(!glfs_fsync(fd, NULL, NULL));
    CHECK(glfs_pread(fd, back, 4096, 8192, 0, NULL) == 4096);
    CHECK(!memcmp(written, back, 4096));
    CHECK(!glfs_fstat(fd, &stat) && stat.st_size == 12288 && S_ISREG(stat.st_mode));
    memset(back, 0, sizeof back);
    CHECK(!pipe(pipe_ends));
    CHECK(!glfs_pread_async(fd, back, 4096, 8192, 0, done, pipe_ends));
    CHECK(read(pipe_ends[0], &good, 1) == 1 && good);
    CHECK(!memcmp(written, back, 4096));
    CHECK(glfs_pwrite(fd, written, 4096, 0, 0, NULL, NULL) == 4096);
    /* No close, no fini: the second write may be lost, the first must not be. */
    _exit(0);
}
