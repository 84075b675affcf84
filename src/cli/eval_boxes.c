/* The scores of boxes. */
#include "cli/eval_score.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_box(const double box[4])
{
    return isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) && isfinite(box[3]) &&
           box[0] < box[2] && box[1] < box[3];
}

static double area(const double box[4])
{
    return (box[2] - box[0]) * (box[3] - box[1]);
}

double score_iou(const double a[4], const double b[4])
{
    if (!is_box(a) || !is_box(b)) {
        return 0;
    }
    double common[4] = {fmax(a[0], b[0]), fmax(a[1], b[1]), fmin(a[2], b[2]), fmin(a[3], b[3])};
    if (!is_box(common)) {
        return 0;
    }
    double both = area(common), all = area(a) + area(b) - both;
    return isfinite(all) && all > 0 ? both / all : 0; /* all is 0 where areas underflow */
}

/* A found and an expected box that have something in common. */
typedef struct box_pair {
    double iou;
    size_t found, expected;
} box_pair;

/* The best first; equal ones in the order of the boxes, so that the result is always the same. */
static int compare_pairs(const void *a, const void *b)
{
    const box_pair *left = a, *right = b;
    if (left->iou != right->iou) {
        return left->iou > right->iou ? -1 : 1;
    }
    if (left->found != right->found) {
        return left->found < right->found ? -1 : 1;
    }
    return left->expected < right->expected ? -1 : left->expected > right->expected;
}

/* The work space of the matching. */
typedef struct matching {
    box_pair *pairs; /* [pair_count], sorted */
    size_t pair_count, count;
    size_t *partner; /* [count] the found box of each expected one; SIZE_MAX: none */
    bool *tried;     /* [count] expected boxes that this search has looked at */
    bool *taken;     /* [2 * count] found, expected */
} matching;

/* An augmenting path (Kuhn): gives box `found` a partner, if need be by giving others another one.
 * As deep as there are boxes. */
static bool augment(matching *m, size_t found, double least)
{
    for (size_t i = 0; i < m->pair_count && m->pairs[i].iou >= least; i++) {
        size_t expected = m->pairs[i].expected;
        if (m->pairs[i].found == found && !m->tried[expected]) {
            m->tried[expected] = true;
            if (m->partner[expected] == SIZE_MAX || augment(m, m->partner[expected], least)) {
                m->partner[expected] = found;
                return true;
            }
        }
    }
    return false;
}

/* True if all boxes find a partner with this IoU. */
static bool all_match(matching *m, double least)
{
    for (size_t i = 0; i < m->count; i++) {
        m->partner[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < m->count; i++) {
        memset(m->tried, 0, m->count * sizeof(*m->tried));
        if (!augment(m, i, least)) {
            return false;
        }
    }
    return true;
}

static double greedy_sum(matching *m)
{
    double sum = 0;
    for (size_t i = 0; i < m->pair_count; i++) {
        bool *found = &m->taken[m->pairs[i].found];
        bool *expected = &m->taken[m->count + m->pairs[i].expected];
        if (!*found && !*expected) {
            *found = *expected = true;
            sum += m->pairs[i].iou;
        }
    }
    return sum;
}

static void list_pairs(matching *m, const double (*found)[4], size_t found_count,
                       const double (*expected)[4], size_t expected_count)
{
    for (size_t i = 0; i < found_count; i++) {
        for (size_t k = 0; k < expected_count; k++) {
            double iou = score_iou(found[i], expected[k]);
            if (iou > 0) {
                m->pairs[m->pair_count++] = (box_pair){iou, i, k};
            }
        }
    }
    qsort(m->pairs, m->pair_count, sizeof(*m->pairs), compare_pairs);
}

bool score_boxes(const double (*found)[4], size_t found_count, const double (*expected)[4],
                 size_t expected_count, score_boxes_result *result)
{
    size_t count = found_count > expected_count ? found_count : expected_count, most;
    *result = (score_boxes_result){1, true, true};
    if (count == 0) {
        return true;
    }
    if (__builtin_mul_overflow(found_count, expected_count, &most) ||
        most > SIZE_MAX / sizeof(box_pair) - 1) {
        return false;
    }
    matching m = {malloc((most + 1) * sizeof(*m.pairs)), 0, count,
                  calloc(count, sizeof(*m.partner)), calloc(count, sizeof(*m.tried)),
                  calloc(2 * count, sizeof(*m.taken))};
    bool good = m.pairs != NULL && m.partner != NULL && m.tried != NULL && m.taken != NULL;
    if (good) {
        bool as_many = found_count == expected_count;
        list_pairs(&m, found, found_count, expected, expected_count);
        result->iou = greedy_sum(&m) / (double)count;
        result->right_50 = as_many && all_match(&m, 0.5);
        result->right_75 = as_many && all_match(&m, 0.75);
    }
    free(m.pairs);
    free(m.partner);
    free(m.tried);
    free(m.taken);
    return good;
}
