/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "demo.h"

static const char demo_bold[] = "\033[1m";
static const char demo_green[] = "\033[32m";
static const char demo_red[] = "\033[31m";
static const char demo_plain[] = "\033[0m";

static void say_coloured(struct demo *demo, const char *colour, const char *text)
{
    struct io *io = &demo->ctx->io;
    if (text[0] == '\0') {
        return;
    }
    io_text(io, demo->colour ? colour : "");
    io_text(io, text);
    io_text(io, demo->colour ? demo_plain : "");
}

__attribute__((format(printf, 4, 0))) static void
say_line(struct demo *demo, const char *colour, const char *mark, const char *format, va_list list)
{
    char *text = NULL;
    if (demo->ctx->json || vasprintf(&text, format, list) < 0) {
        return; /* With --json only the end is told. */
    }
    io_text(&demo->ctx->io, "   ");
    say_coloured(demo, colour, mark);
    io_printf(&demo->ctx->io, "%s\n", text);
    io_flush(&demo->ctx->io);
    free(text);
}

void demo_title(struct demo *demo, const char *text)
{
    if (demo->ctx->json) {
        return;
    }
    io_text(&demo->ctx->io, "\n");
    say_coloured(demo, demo_bold, text);
    io_text(&demo->ctx->io, "\n");
    io_flush(&demo->ctx->io);
}

void demo_say(struct demo *demo, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_line(demo, demo_plain, "", format, list);
    va_end(list);
}

bool demo_check(struct demo *demo, bool holds, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say_line(demo, holds ? demo_green : demo_red, holds ? "ok  " : "NOT ", format, list);
    va_end(list);
    demo->checks += holds ? 1 : 0;
    demo->failed = demo->failed || !holds;
    return holds;
}

bool demo_fail(struct demo *demo, const char *format, ...)
{
    char *text = NULL;
    char *line = NULL;
    va_list list;
    va_start(list, format);
    int len = vasprintf(&text, format, list);
    va_end(list);
    demo->failed = true;
    if (len >= 0 && asprintf(&line, "meshnode: demo: %s\n", text) >= 0 && !demo->ctx->json) {
        io_flush(&demo->ctx->io);
        io_err(&demo->ctx->io, line);
    }
    free(line);
    free(len >= 0 ? text : NULL);
    return false;
}
