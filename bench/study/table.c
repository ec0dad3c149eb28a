/* SPDX-License-Identifier: Apache-2.0 */
/* A study's table, see table.h. Cells lie in one array, row after row. */
#include "bench/study/table.h"

#include <math.h>

#include "probe/text.h"

struct cell {
    char *text; /* owned; NULL: none */
    double number;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct cell *cells;
    size_t count, room;
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void table_new(struct table **out, const struct table_column *columns, size_t column_count)
{
    *out = must(calloc(1, sizeof(**out)));
    (*out)->columns = columns;
    (*out)->column_count = column_count;
}

struct table *table_free(struct table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
    return NULL;
}

static struct cell *next_cell(struct table *table)
{
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->cells = must(realloc(table->cells, table->room * sizeof(*table->cells)));
    }
    table->cells[table->count] = (struct cell){.number = NAN};
    return &table->cells[table->count++];
}

void table_text(struct table *table, const char *text)
{
    next_cell(table)->text = text ? must(strdup(text)) : NULL;
}

void table_number(struct table *table, double number)
{
    double unit = pow(10, table->columns[table->count % table->column_count].decimals);

    next_cell(table)->number = isnan(number) ? number : round(number * unit) / unit;
}

size_t table_rows(const struct table *table)
{
    return table->count / table->column_count;
}

static const struct cell *cell_at(const struct table *table, size_t row, size_t column)
{
    return &table->cells[row * table->column_count + column];
}

static const char *title_of(const struct table_column *column)
{
    return column->title ? column->title : column->name;
}

/* What a cell says, as text for a terminal; `none` where it says nothing. */
static const char *cell_text(const struct table_column *column, const struct cell *cell, const char *none,
                             char *buffer, size_t size_bytes)
{
    if (cell->text)
        return text_clean(cell->text, buffer, size_bytes);
    if (column->decimals < 0 || isnan(cell->number))
        return none;
    snprintf(buffer, size_bytes, "%.*f", column->decimals, cell->number);
    return buffer;
}

/* --- for people ------------------------------------------------------------------------------------------*/

static size_t width_of(const struct table *table, size_t column)
{
    size_t width = strlen(title_of(&table->columns[column]));
    char buffer[TEXT_SIZE];

    for (size_t row = 0; row < table_rows(table); row++) {
        const struct cell *cell = cell_at(table, row, column);

        width = max_u64(width, strlen(cell_text(&table->columns[column], cell, "-", buffer, sizeof(buffer))));
    }
    return width;
}

/* A cell with blanks around it; those behind it are left to the next one, so that no line ends in blanks. */
static void write_padded(const char *text, size_t width, bool right, size_t *blanks, FILE *out)
{
    size_t length = strlen(text);

    *blanks += right ? width - length : 0;
    if (length > 0) {
        fprintf(out, "%*s%s", (int)*blanks, "", text);
        *blanks = 0;
    }
    *blanks += right ? 2 : width - length + 2;
}

/* Text to the left, numbers to the right. */
static void write_text(const struct table *table, FILE *out)
{
    for (size_t line = 0; line <= table_rows(table); line++) {
        size_t blanks = 0;

        for (size_t c = 0; c < table->column_count; c++) {
            const struct table_column *column = &table->columns[c];
            char buffer[TEXT_SIZE];
            const char *text =
                line == 0 ? title_of(column)
                          : cell_text(column, cell_at(table, line - 1, c), "-", buffer, sizeof(buffer));

            if (!column->hidden)
                write_padded(text, width_of(table, c), column->decimals >= 0, &blanks, out);
        }
        fputc('\n', out);
    }
}

/* --- for programs ----------------------------------------------------------------------------------------*/

static void write_field(const char *text, FILE *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_csv(const struct table *table, FILE *out)
{
    for (size_t line = 0; line <= table_rows(table); line++) {
        for (size_t c = 0; c < table->column_count; c++) {
            const struct table_column *column = &table->columns[c];
            char buffer[TEXT_SIZE];

            write_field(line == 0
                            ? column->name
                            : cell_text(column, cell_at(table, line - 1, c), "", buffer, sizeof(buffer)),
                        out);
            fputc(c + 1 == table->column_count ? '\n' : ',', out);
        }
    }
}

void table_write(const struct table *table, enum table_format format, FILE *out)
{
    if (format == TABLE_CSV)
        write_csv(table, out);
    else
        write_text(table, out);
}

cJSON *table_json(const struct table *table)
{
    cJSON *rows = must(cJSON_CreateArray());

    for (size_t row = 0; row < table_rows(table); row++) {
        cJSON *object = must(cJSON_CreateObject());

        for (size_t c = 0; c < table->column_count; c++) {
            const struct cell *cell = cell_at(table, row, c);
            const char *name = table->columns[c].name;

            if (cell->text)
                cJSON_AddStringToObject(object, name, cell->text);
            else if (isnan(cell->number))
                cJSON_AddNullToObject(object, name);
            else
                cJSON_AddNumberToObject(object, name, cell->number);
        }
        cJSON_AddItemToArray(rows, object);
    }
    return rows;
}
