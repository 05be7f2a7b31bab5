/* router/config/docs.h: docs/configuration.md, made from the table of settings.
 * A unit test compares the file with it; WEIR_UPDATE_DOCS=1 makes that test write it. */
#ifndef WEIR_ROUTER_CONFIG_DOCS_H
#define WEIR_ROUTER_CONFIG_DOCS_H

#include <stdio.h>

void config_docs(FILE *);

#endif
