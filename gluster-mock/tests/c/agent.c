/* A client that does what it is told, one line at a time, and answers each with a result and how many
 * milliseconds it took: what a call returned, or minus the error. One mount, one file. */
#include <errno.h>
#include <glusterfs/api/glfs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static glfs_t *fs;
static glfs_fd_t *fd;
static char bytes[1 << 20];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static long pending, failed;

static long result(long ret)
{
    return ret < 0 ? -(long)errno : ret;
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static long mount(const char *volume, const char *pass_through)
{
    fs = glfs_new(volume);
    glfs_set_volfile_server(fs, "tcp", "localhost", 24007);
    glfs_set_xlator_option(fs, "*-write-behind", "pass-through", pass_through);
    return result(glfs_init(fs));
}

static long file(const char *path)
{
    fd = glfs_open(fs, path, O_RDWR);
    if (!fd && errno == ENOENT)
        fd = glfs_creat(fs, path, O_RDWR, 0644);
    return fd ? 0 : -(long)errno;
}

static long put(long at, long len, char byte)
{
    memset(bytes, byte, len);
    return result(glfs_pwrite(fd, bytes, len, at, 0, NULL, NULL));
}

static void *put_elsewhere(void *number)
{
    *(long *)number = put(0, 512, 't');
    return NULL;
}

/* Which byte is everywhere in there; nothing else will do. */
static long get(long at, long len)
{
    long done = result(glfs_pread(fd, bytes, len, at, 0, NULL));
    if (done <= 0)
        return done;
    for (long i = 1; i < done; i++)
        if (bytes[i] != bytes[0])
            return -EIO;
    return bytes[0];
}

static void done(glfs_fd_t *fd, ssize_t ret, struct glfs_stat *pre, struct glfs_stat *post, void *data)
{
    (void)fd, (void)pre, (void)post, (void)data;
    pthread_mutex_lock(&mutex);
    failed += ret != 4096;
    pending--;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&mutex);
}

/* So many writes at once; how many of them failed. */
static long burst(long count, char byte)
{
    memset(bytes, byte, 4096);
    pending = count;
    failed = 0;
    for (long i = 0; i < count; i++)
        if (glfs_pwrite_async(fd, bytes, 4096, i * 4096, 0, done, NULL))
            return -(long)errno;
    pthread_mutex_lock(&mutex);
    while (pending)
        pthread_cond_wait(&answered, &mutex);
    pthread_mutex_unlock(&mutex);
    return failed;
}

static long lock(int command, short type)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    long ret = result(glfs_file_lock(fd, command, &whole, GLFS_LK_MANDATORY));
    return ret < 0 || command != F_GETLK ? ret : whole.l_type;
}

static long obey(const char *line)
{
    char word[64], text[64] = "";
    long a = 0, b = 0, ret;
    char byte = 0;
    pthread_t thread;
    if (sscanf(line, "mount %63s %63s", word, text) == 2)
        return mount(word, text);
    if (sscanf(line, "file %63s", word) == 1)
        return file(word);
    if (sscanf(line, "write %ld %ld %c", &a, &b, &byte) == 3 && b <= (long)sizeof bytes)
        return put(a, b, byte);
    if (sscanf(line, "read %ld %ld", &a, &b) == 2 && b <= (long)sizeof bytes)
        return get(a, b);
    if (sscanf(line, "burst %ld %c", &a, &byte) == 2)
        return burst(a, byte);
    if (sscanf(line, "owner %63s", word) == 1)
        return result(glfs_fd_set_lkowner(fd, word, strlen(word)));
    if (!strncmp(line, "enforce", 7))
        return result(glfs_fsetxattr(fd, "trusted.glusterfs.enforce-mandatory-lock", "1", 1, 0));
    if (!strncmp(line, "sync", 4))
        return result(glfs_fdatasync(fd, NULL, NULL));
    if (!strncmp(line, "lock", 4))
        return lock(F_SETLK, F_WRLCK);
    if (!strncmp(line, "wait", 4))
        return lock(F_SETLKW, F_WRLCK);
    if (!strncmp(line, "who", 3))
        return lock(F_GETLK, F_WRLCK);
    if (!strncmp(line, "thread", 6)) {
        if (pthread_create(&thread, NULL, put_elsewhere, &ret))
            abort();
        pthread_join(thread, NULL);
        return ret;
    }
    if (!strncmp(line, "leave", 5))
        return (fd && glfs_close(fd)) | glfs_fini(fs) ? -(long)errno : 0;
    fprintf(stderr, "not understood: %s", line);
    exit(2);
}

int main(void)
{
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        long start = milliseconds();
        long ret = obey(line);
        printf("%ld %ld\n", ret, milliseconds() - start);
        fflush(stdout);
    }
    return 0;
}
