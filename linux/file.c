/*
 * EVFILT_READ and EVFILT_WRITE on what epoll refuses with EPERM: regular files
 * and a few devices, always ready to the kernel. READ is active while there are
 * bytes between the offset and the end. Nobody tells when a file grows; so
 * before a wait, each that was at its end is asked for its size.
 */
#include "kqueue.h"

#include <sys/stat.h>

#include <errno.h>
#include <unistd.h>

/* Is the number still the file that the knote was made for? */
static bool file_status(const struct knote *kn, struct stat *now)
{
    return fstat((int)kn->kev.ident, now) == 0 &&
           now->st_ino == kn->state.file.inode &&
           now->st_dev == kn->state.file.device;
}

static int file_attach(struct kqueue *kq, struct knote *kn,
                       const struct kevent *kev)
{
    struct stat now;
    if (fstat((int)kev->ident, &now) < 0)
        return errno;
    kn->state.file.device = now.st_dev;
    kn->state.file.inode = now.st_ino;
    kn->state.file.told = -1;
    kq_list_append(&kq->files, &kn->sibling);
    __atomic_store_n(&kq->asks, true, __ATOMIC_RELAXED);
    return 0;
}

static int file_touch(struct kqueue *kq, struct knote *kn,
                      const struct kevent *kev)
{
    (void)kq;
    if (kev != NULL)
        kn->state.file.told = -1; /* looked at anew, EV_CLEAR or not */
    return 0;
}

/* FreeBSD: sys/kern/vfs_subr.c, filt_vfsread and filt_vfswrite. */
static bool file_active(struct knote *kn)
{
    struct stat now;
    if (!file_status(kn, &now))
        return false;
    kn->state.file.size = now.st_size;
    if (kn->kev.flags & EV_CLEAR && kn->state.file.told == now.st_size)
        return false;
    if (kn->kev.filter == EVFILT_WRITE) {
        kn->kev.data = 0;
        return true;
    }
    kn->kev.data = 1;
    if (S_ISREG(now.st_mode))
        kn->kev.data = now.st_size - lseek((int)kn->kev.ident, 0, SEEK_CUR);
    return kn->kev.data != 0;
}

static void file_delivered(struct knote *kn)
{
    kn->state.file.told = kn->state.file.size;
}

static void file_detach(struct kqueue *kq, struct knote *kn)
{
    (void)kq;
    kq_list_remove(&kn->sibling);
}

const struct kq_filter kq_file = {file_attach, file_touch, file_active,
                                  file_delivered, file_detach};

/* Those that are active wait in the ready list, and are asked at delivery. */
void kq_ask_files(struct kqueue *kq)
{
    struct link *next;
    for (struct link *at = kq->files.next; at != &kq->files; at = next) {
        struct knote *kn = KNOTE_OF_SIBLING(at);
        struct stat now;
        next = at->next;
        if (!kq_list_empty(&kn->ready))
            continue;
        if (!file_status(kn, &now))
            kq_remove_knote(kq, kn); /* closed: the knote goes with it */
        else if (now.st_size != kn->state.file.size)
            kq_evaluate(kq, kn);
    }
}

/* A knote outlives its file if the program has just closed it. */
struct knote *kq_find_file(struct kqueue *kq, const struct kevent *kev)
{
    struct stat now;
    struct knote *kn =
        kq_list_empty(&kq->files) ? NULL : kq_find_knote(kq, kev);
    if (kn == NULL || file_status(kn, &now))
        return kn;
    kq_remove_knote(kq, kn);
    return NULL;
}
