/*
 * notify - tell systemd how we are (sd_notify); without systemd every call is a no-op.  The only door to libsystemd.
 */
#ifndef ENMA_MASTER_NOTIFY_H
#define ENMA_MASTER_NOTIFY_H

#include "common/base/defs.h"

void notify_ready(const char *status);          /* also ends a reload */
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
void notify_watchdog(void);
/* Milliseconds between two notify_watchdog() calls that systemd expects at most; 0: none. */
int64_t notify_watchdog_ms(void);

#endif
