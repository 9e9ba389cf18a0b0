/*
 * conf_check - what a value must look like, and the rules between settings.
 *
 * The functions of one value are named by the rows of conf_table.c.  They never read files; conf_check_socket may ask the system for the
 * address of a host name.
 */
#ifndef ENMA_CONF_CONF_CHECK_H
#define ENMA_CONF_CONF_CHECK_H

#include "common/conf/conf.h"

/* True, or false with a reason in why. */
bool conf_check_socket(const char *value, char *why, size_t size);
bool conf_check_control_socket(const char *value, char *why, size_t size);
bool conf_check_user(const char *value, char *why, size_t size);        /* "", USER or USER:GROUP; that they exist is checked at start */
bool conf_check_user_name(const char *value, char *why, size_t size);
bool conf_check_path(const char *value, char *why, size_t size);        /* "" or absolute */
bool conf_check_identifier(const char *value, char *why, size_t size);
bool conf_check_field_name(const char *value, char *why, size_t size);
bool conf_check_range(const char *value, char *why, size_t size);
bool conf_check_forward(const char *value, char *why, size_t size);
bool conf_check_ident(const char *value, char *why, size_t size);
bool conf_check_log_target(const char *value, char *why, size_t size);

/* The rules between settings, and warnings about settings that have no effect.  Adds to errors. */
void conf_check(const struct conf *c, struct conf_errors *errors);

/* Why a name is a poor identifier for Authentication-Results (one line), or NULL when it is a good one. */
const char *conf_identifier_trouble(const char *identifier);

#endif
