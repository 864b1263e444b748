/* The config's settings, as the proxy takes them: at the start, and when the config is read again. */
#ifndef STEERWAY_SERVE_APP_SETTINGS_H
#define STEERWAY_SERVE_APP_SETTINGS_H

#include "inbound/proxy.h"

#include <stddef.h>

struct app;
struct config;

struct outbound_settings app_outbound_settings(const struct app *a);
struct proxy_settings app_proxy_settings(const struct app *a);

/** How many clients the limit of open files suffices for. */
size_t app_most_sessions(const struct app *a);

/** Warn of a file of users that others can read. */
void app_warn_of_users(const struct app *a);

/** Check uplinks as the config says; a check that runs begins anew. For the start, and after a change. */
void app_check(struct app *a);

/** Take the settings of a->config, which have changed. @param before  the config as it was */
void app_settle(struct app *a, const struct config *before);

#endif
