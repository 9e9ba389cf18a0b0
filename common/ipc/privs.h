/*
 * privs - gives up privileges for good, and what else a child wants of its process.
 */
#ifndef ENMA_IPC_PRIVS_H
#define ENMA_IPC_PRIVS_H

#include "common/base/rc.h"

/* user: "name", "name:group", numbers allowed; "": stay who we are.  Only root can change; others stay who they are.  Afterwards the
 * old identity cannot be regained (checked).  RC_OK; RC_SYNTAX (no such user or group) or RC_TEMP, why: one line with the remedy. */
NODISCARD enum rc privs_drop(const char *user, char *why, size_t size);

/* No program started from here gains privileges; cores may be written again after a change of identity. */
void privs_harden(void);

/* Raises the soft limit of open files to the hard one; as root to `wanted` at least.  Returns the limit now in force. */
size_t privs_raise_files(size_t wanted);

#endif
