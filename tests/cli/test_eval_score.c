/* The scores of vl2 eval against values worked out by hand. */
#include "test.h"

#include "cli/eval_score.h"
#include "cli/eval_text.h"

#include <math.h>
#include <string.h>

static score_text text(const char *from)
{
    return (score_text){from, strlen(from)};
}

#define EXACT(answer, accepted)  score_exact(text(answer), text(accepted))
#define ANLS(answer, accepted)  score_anls(text(answer), text(accepted))
#define NEAR(found, expected)                                                                      \
    do {                                                                                           \
        double near_found = (found), near_expected = (expected);                                   \
        if (!(fabs(near_found - near_expected) < 1e-9)) {                                          \
            fail_msg("%s: found %.12g, expected %.12g", #found, near_found, near_expected);        \
        }                                                                                          \
    } while (0)

static void test_exact(void **state)
{
    (void)state;
    NEAR(EXACT("Red", "red"), 1);
    NEAR(EXACT(" the  red\tcar.\n", "The red car"), 1);
    NEAR(EXACT("red!?", "red"), 1);
    NEAR(EXACT("red", "red car"), 0);
    NEAR(EXACT("", ""), 1);
    NEAR(EXACT("", "red"), 0);
    NEAR(EXACT("?", "."), 0); /* punctuation alone is not stripped to nothing */
    NEAR(EXACT("3.5", "35"), 0);
    NEAR(EXACT("\xC3\x84RGER \xCE\xA3 \xD0\x96", "\xC3\xA4rger \xCF\x83 \xD0\xB6"), 1);
    NEAR(EXACT("a\xC2\xA0z", "a z"), 1);
    NEAR(EXACT("x\xE3\x80\x82", "x"), 1);
    NEAR(EXACT("\xFF", "\xFE"), 1); /* both are U+FFFD */
    NEAR(score_exact((score_text){"a\0b", 3}, text("a")), 0);
    NEAR(score_exact((score_text){"xy", 1}, text("x")), 1);
}

static void test_fold(void **state)
{
    (void)state;
    NEAR(EXACT("\xC5\xB8", "\xC3\xBF"), 1);                 /* U+0178, U+00FF */
    NEAR(EXACT("\xC5\xBD\xC4\xB9", "\xC5\xBE\xC4\xBA"), 1); /* U+017D, U+0139: the odd ones */
    NEAR(EXACT("\xC5\xBE", "\xC5\xBE"), 1);
    NEAR(EXACT("\xC4\x80", "\xC4\x81"), 1); /* U+0100 */
    NEAR(EXACT("\xC3\x97", "\xC3\xB7"), 0); /* times, divided by */
    NEAR(EXACT("\xD0\x81", "\xD1\x91"), 1); /* U+0401 */
}

/* Levenshtein distances by hand: kitten/sitting 3 of 7, and their like. */
static void test_anls(void **state)
{
    (void)state;
    NEAR(ANLS("hello", "hello"), 1);
    NEAR(ANLS("Hello  World", "hello world"), 1);
    NEAR(ANLS("kitten", "sitting"), 1 - 3.0 / 7);
    NEAR(ANLS("sitting", "kitten"), 1 - 3.0 / 7);
    NEAR(ANLS("$1,234", "$1,284"), 1 - 1.0 / 6);
    NEAR(ANLS("abcd", "abxy"), 0.5);     /* exactly at the threshold: kept */
    NEAR(ANLS("abcde", "abxyz"), 0);     /* 0.4 is below it */
    NEAR(ANLS("ab", "abcde"), 0);        /* by the lengths alone */
    NEAR(ANLS("ab", "abcd"), 0.5);
    NEAR(ANLS("", ""), 1);
    NEAR(ANLS("", "a"), 0);
    NEAR(ANLS("flaw", "lawn"), 0.5);     /* one taken out, one put in */
    NEAR(ANLS("\xC3\xA9t\xC3\xA9", "\xC3\xA9ta"), 1 - 1.0 / 3); /* characters, not bytes */
    NEAR(ANLS("yes.", "yes"), 0.75);     /* punctuation counts here */
}

static double number(const char *from)
{
    double found = -999;
    return score_number(text(from), &found) ? found : NAN;
}

static void test_numbers(void **state)
{
    (void)state;
    NEAR(number("3"), 3);
    NEAR(number("There are 12 of 40."), 12);
    NEAR(number("1,234,567.5 kg"), 1234567.5);
    NEAR(number("1,2"), 1);
    NEAR(number("12345,678"), 12345);
    NEAR(number("1,2345"), 1);
    NEAR(number("-4"), -4);
    NEAR(number("it is \xE2\x88\x92" "4.5"), -4.5);
    NEAR(number("A-5"), 5);
    NEAR(number("(-5)"), -5);
    NEAR(number(".5"), 0.5);
    NEAR(number("3."), 3);
    NEAR(number("3.5.7"), 3.5);
    NEAR(number("1e3 m"), 1000);
    NEAR(number("2.5E-1"), 0.25);
    NEAR(number("5e"), 5);
    NEAR(number("45%"), 45);
    NEAR(number("Three."), 3);
    NEAR(number("the number twenty"), 20);
    NEAR(number("one of 7"), 7); /* digits come before words */
    assert_true(isnan(number("none at all")));
    assert_true(isnan(number("someone")));
    assert_true(isnan(number("")));
    assert_true(isnan(number("-.,")));
    char digits[1000];
    memset(digits, '9', sizeof(digits));
    double found;
    assert_false(score_number((score_text){digits, sizeof(digits)}, &found));
    assert_false(score_number((score_text){digits, 399}, &found)); /* beyond a double */
    assert_true(score_number((score_text){digits, 300}, &found));
    assert_true(score_number_equal(0.1 + 0.2, 0.3, 0));
    assert_false(score_number_equal(3, 4, 0));
    assert_true(score_number_equal(105, 100, 0.05));
    assert_false(score_number_equal(106, 100, 0.05));
    assert_true(score_number_equal(-105, -100, 0.05));
    assert_true(score_number_equal(0, 0, 0));
    assert_false(score_number_equal(1e-12, 0, 0));
}

static const score_option colours[] = {
    {'A', {"red", 3}}, {'B', {"dark red", 8}}, {'C', {"blue", 4}}, {'D', {"a car", 5}}};

#define CHOICE(answer) score_choice(text(answer), colours, 4)
#define LETTERS(answer) score_choice(text(answer), letters, 9)

static void test_choice_letters(void **state)
{
    (void)state;
    score_option letters[9];
    for (int i = 0; i < 9; i++) {
        letters[i] = (score_option){(char)('A' + i), {NULL, 0}};
    }
    assert_int_equal(LETTERS("B"), 'B'); /* rule 1 */
    assert_int_equal(LETTERS(" (b)"), 'B');
    assert_int_equal(LETTERS("b."), 'B');
    assert_int_equal(LETTERS("**C**"), 'C');
    assert_int_equal(LETTERS("D) because A and B are wrong"), 'D');
    assert_int_equal(LETTERS("E: it is"), 'E');
    assert_int_equal(LETTERS("The answer is B."), 'B'); /* rule 3 */
    assert_int_equal(LETTERS("Answer: C, not A or B"), 'C');
    assert_int_equal(LETTERS("Between A and C, the correct option is (C)."), 'C');
    assert_int_equal(LETTERS("I would say B here"), 'B'); /* rule 4 */
    assert_int_equal(LETTERS("A dog and option D"), 'D');
    assert_int_equal(LETTERS("A dog"), 0);
    assert_int_equal(LETTERS("A"), 'A');
    assert_int_equal(LETTERS("I think so"), 0);
    assert_int_equal(LETTERS("I"), 'I');
    assert_int_equal(LETTERS("I'm not sure"), 0);
    assert_int_equal(LETTERS("B or C"), 0);
    assert_int_equal(LETTERS("Both B and B"), 'B');
    assert_int_equal(LETTERS("Z"), 0);
    assert_int_equal(LETTERS("ABC"), 0);
    assert_int_equal(LETTERS("the answer is a car"), 0);
    assert_int_equal(LETTERS(""), 0);
    assert_int_equal(score_choice((score_text){"\0B", 2}, letters, 9), 'B');
}

static void test_choice_texts(void **state)
{
    (void)state;
    assert_int_equal(CHOICE("Blue."), 'C'); /* rule 2 */
    assert_int_equal(CHOICE("A car"), 'D');
    assert_int_equal(CHOICE("It is blue, I think."), 'C'); /* rule 5 */
    assert_int_equal(CHOICE("It is dark red."), 'B');      /* "red" is a part of it */
    assert_int_equal(CHOICE("It is red."), 'A');
    assert_int_equal(CHOICE("It is reddish."), 0);
    assert_int_equal(CHOICE("red or blue"), 0);
    assert_int_equal(CHOICE("C. red"), 'C'); /* the letter comes first */
    static const score_option vitamins[] = {{'A', {"Vitamin C", 9}}, {'C', {"Vitamin D", 9}}};
    assert_int_equal(score_choice(text("Vitamin C"), vitamins, 2), 'A');
}

static void test_iou(void **state)
{
    (void)state;
    const double a[4] = {0, 0, 10, 10}, b[4] = {5, 0, 15, 10}, c[4] = {10, 0, 20, 10};
    const double inside[4] = {2, 2, 7, 6}, line[4] = {0, 0, 10, 0}, turned[4] = {10, 10, 0, 0};
    const double huge[4] = {0, 0, 1e308, 1e308}, odd[4] = {0, 0, INFINITY, 10};
    NEAR(score_iou(a, a), 1);
    NEAR(score_iou(a, b), 50.0 / 150);
    NEAR(score_iou(b, a), 50.0 / 150);
    NEAR(score_iou(a, c), 0); /* they touch */
    NEAR(score_iou(a, inside), 0.2);
    NEAR(score_iou(a, line), 0);
    NEAR(score_iou(line, line), 0);
    NEAR(score_iou(a, turned), 0);
    NEAR(score_iou(a, huge), 0);
    NEAR(score_iou(a, odd), 0);
    NEAR(score_iou((const double[4]){0, 0, NAN, 1}, a), 0);
}

static void test_boxes(void **state)
{
    (void)state;
    score_boxes_result result;
    const double expected[2][4] = {{0, 0, 10, 10}, {100, 100, 110, 110}};
    const double swapped[2][4] = {{100, 100, 110, 110}, {0, 0, 10, 8}}; /* 1 and 0.8 */
    assert_true(score_boxes(swapped, 2, expected, 2, &result));
    NEAR(result.iou, 0.9);
    assert_true(result.right_50 && result.right_75);
    const double worse[2][4] = {{100, 100, 110, 110}, {0, 0, 10, 6}};
    assert_true(score_boxes(worse, 2, expected, 2, &result));
    NEAR(result.iou, 0.8);
    assert_true(result.right_50 && !result.right_75);
    assert_true(score_boxes(swapped, 1, expected, 2, &result)); /* one is missing */
    NEAR(result.iou, 0.5);
    assert_false(result.right_50);
    assert_true(score_boxes(expected, 2, expected, 1, &result)); /* one too many */
    NEAR(result.iou, 0.5);
    assert_false(result.right_50);
    const double twice[2][4] = {{0, 0, 10, 10}, {0, 0, 10, 10}}; /* a partner has one only */
    assert_true(score_boxes(twice, 2, expected, 2, &result));
    NEAR(result.iou, 0.5);
    assert_false(result.right_50);
    assert_true(score_boxes(NULL, 0, expected, 2, &result));
    NEAR(result.iou, 0);
    assert_false(result.right_50);
    assert_true(score_boxes(NULL, 0, NULL, 0, &result));
    NEAR(result.iou, 1);
    assert_true(result.right_50 && result.right_75);
}

/* Taking the best pair first leaves 1/3 for the other one, and yet both can have a half. */
static void test_pairing(void **state)
{
    (void)state;
    score_boxes_result result;
    const double expected[2][4] = {{0, 0, 100, 10}, {0, 0, 50, 10}};
    const double found[2][4] = {{0, 0, 100, 10}, {0, 0, 100, 5}};
    NEAR(score_iou(found[0], expected[1]), 0.5);
    NEAR(score_iou(found[1], expected[0]), 0.5);
    NEAR(score_iou(found[1], expected[1]), 250.0 / 750);
    assert_true(score_boxes(found, 2, expected, 2, &result));
    NEAR(result.iou, (1 + 250.0 / 750) / 2);
    assert_true(result.right_50 && !result.right_75);
    const double off[2][4] = {{0, 0, 100, 10}, {0, 0, 100, 4.9}}; /* 0.49: no pairing */
    assert_true(score_boxes(off, 2, expected, 2, &result));
    assert_false(result.right_50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),          cmocka_unit_test(test_fold),
        cmocka_unit_test(test_anls),           cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_choice_letters), cmocka_unit_test(test_choice_texts),
        cmocka_unit_test(test_iou),            cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_pairing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
