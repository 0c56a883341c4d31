/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that stand for several nodes, as of a Kubernetes headless service: looked up again from
 * time to time; each address found is told to the mesh machine, which dials it while peers are few.
 */
#ifndef MSY_SHELL_NAMES_H
#define MSY_SHELL_NAMES_H

#include "shell/network.h"

/* Looks up what is due; sets net->names_at_ms to when to come again. */
void msy_names_due(struct msy_network *net);

#endif
