#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool units_parse(const char *text, double *ret)
{
    static const char suffixes[] = "KMGT";
    char *end;

    if (strspn(text, "0123456789.") == 0) /* rejects signs, "inf" and blanks, which strtod accepts */
        return false;
    double n = strtod(text, &end);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (end == text || (*end && (!suffix || end[1] != '\0')) || !isfinite(n))
        return false;
    *ret = n * (suffix ? pow(1000, (double)(suffix - suffixes + 1)) : 1);
    return true;
}
