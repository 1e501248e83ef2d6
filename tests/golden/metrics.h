/* Written by make_metrics.py with scikit-learn 1.9.1 and SciPy 1.17.1. */
static const int32_t golden_answer_i0[] = {1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0,
                                           1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0};
static const int32_t golden_truth_i0[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0,
                                          1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1};
static const int32_t golden_answer_i1[] = {0, 1, 2, 0, 1, 0, 2, 1, 0, 2, 0, 0, 1, 2,
                                           0, 0, 1, 2, 0, 2, 0, 2, 1, 1, 2, 1, 0, 2,
                                           1, 2, 1, 2, 0, 1, 0, 2, 1, 1, 2, 1};
static const int32_t golden_truth_i1[] = {0, 1, 2, 0, 1, 2, 2, 0, 0, 2, 0, 0, 1, 2,
                                          0, 1, 1, 0, 2, 2, 1, 2, 1, 2, 2, 1, 0, 0,
                                          1, 0, 2, 2, 0, 1, 0, 0, 1, 2, 2, 1};
static const int32_t golden_answer_i2[] = {0, 0, 1, 6, 1, 3, 3, 6, 5, 1, 5, 2, 1, 4,
                                           2, 4, 0, 4, 2, 6, 2, 2, 4, 2, 5, 1, 1, 0,
                                           3, 1, 2, 6, 4, 5, 2, 0, 5, 4, 6, 3};
static const int32_t golden_truth_i2[] = {0, 0, 1, 3, 1, 3, 3, 6, 5, 1, 5, 5, 4, 4,
                                          2, 5, 0, 4, 6, 6, 2, 2, 4, 2, 5, 1, 1, 0,
                                          3, 1, 2, 6, 5, 5, 4, 0, 5, 4, 6, 3};
static const int32_t golden_answer_i3[] = {0, 1, 1, 0, 1};
static const int32_t golden_truth_i3[] = {0, 1, 1, 0, 1};
static const int32_t golden_answer_i4[] = {1, 0, 0, 1, 0};
static const int32_t golden_truth_i4[] = {0, 1, 1, 0, 1};
static const int32_t golden_answer_i5[] = {1, 1, 1, 1};
static const int32_t golden_truth_i5[] = {0, 1, 1, 1};
static const int32_t golden_answer_i6[] = {0, 0, 0, 0};
static const int32_t golden_truth_i6[] = {0, 1, 1, 1};
static const int32_t golden_answer_i7[] = {0, 1, 1, 1};
static const int32_t golden_truth_i7[] = {1, 1, 1, 1};
static const int32_t golden_answer_i8[] = {1, 1, 1};
static const int32_t golden_truth_i8[] = {1, 1, 1};
static const int32_t golden_answer_i9[] = {0, 0, 0};
static const int32_t golden_truth_i9[] = {0, 0, 0};
static const int32_t golden_answer_i10[] = {0, 0, 0};
static const int32_t golden_truth_i10[] = {1, 1, 1};
static const int32_t golden_answer_i11[] = {0, 1, 1, 0};
static const int32_t golden_truth_i11[] = {0, 1, 0, 0};
static const int32_t golden_answer_i12[] = {1};
static const int32_t golden_truth_i12[] = {1};
static const golden_classes golden_class_cases[] = {
    {"two classes", 2, 33, golden_answer_i0, golden_truth_i0, 0x1.a821973440f29p-2,
     0x1.64d9364d9364ep-1, 0x1.6000000000000p-1},
    {"three classes", 3, 40, golden_answer_i1, golden_truth_i1, 0x1.1aae8b696c5abp-1,
     0x1.6666666666666p-1, NAN},
    {"seven classes", 7, 40, golden_answer_i2, golden_truth_i2, 0x1.9a80ad5b7bd88p-1,
     0x1.a666666666666p-1, NAN},
    {"all right", 2, 5, golden_answer_i3, golden_truth_i3, 0x1.0000000000000p+0,
     0x1.0000000000000p+0, 0x1.0000000000000p+0},
    {"all wrong", 2, 5, golden_answer_i4, golden_truth_i4, -0x1.0000000000000p+0, 0x0.0p+0,
     0x0.0p+0},
    {"one class answered", 2, 4, golden_answer_i5, golden_truth_i5, 0x0.0p+0, 0x1.8000000000000p-1,
     0x1.b6db6db6db6dbp-1},
    {"the other class answered", 2, 4, golden_answer_i6, golden_truth_i6, 0x0.0p+0,
     0x1.0000000000000p-2, 0x0.0p+0},
    {"one class true", 2, 4, golden_answer_i7, golden_truth_i7, 0x0.0p+0, 0x1.8000000000000p-1,
     0x1.b6db6db6db6dbp-1},
    {"one class alone", 2, 3, golden_answer_i8, golden_truth_i8, 0x0.0p+0, 0x1.0000000000000p+0,
     0x1.0000000000000p+0},
    {"the other class alone", 2, 3, golden_answer_i9, golden_truth_i9, 0x0.0p+0,
     0x1.0000000000000p+0, 0x0.0p+0},
    {"one class each", 2, 3, golden_answer_i10, golden_truth_i10, 0x0.0p+0, 0x0.0p+0, 0x0.0p+0},
    {"a class never met", 3, 4, golden_answer_i11, golden_truth_i11, 0x1.279a74590331dp-1,
     0x1.8000000000000p-1, NAN},
    {"one row", 2, 1, golden_answer_i12, golden_truth_i12, 0x0.0p+0, 0x1.0000000000000p+0,
     0x1.0000000000000p+0}};
static const float golden_answer_f0[] = {
    2,    1,     -0.5F, 4.5F, 4.5F, 4.5F, 3, 5.5F, 1.5F, -2,   -1, 1,    -3.5F, 3.5F, 4.5F,
    4.5F, -1.5F, -0.5F, 3.5F, 0,    2.5F, 3, 3.5F, 2,    1.5F, 3,  1.5F, 5.5F,  3.5F, 3.5F};
static const float golden_truth_f0[] = {2.25F, 3.25F, 0.25F, 3.25F, 4.75F, 4.25F, 3.5F,  4,
                                        1.75F, 1.5F,  0.25F, 3.75F, 1.5F,  4.5F,  2.25F, 4.5F,
                                        0.5F,  0.75F, 1.75F, 0,     2.5F,  3.25F, 3.25F, 1,
                                        0.75F, 2.75F, 3.25F, 4.75F, 4.5F,  1.75F};
static const float golden_answer_f1[] = {
    -0x1.4563960000000p+0F, -0x1.19d9060000000p-3F, -0x1.e23b8e0000000p-8F, -0x1.531bf80000000p+0F,
    0x1.b8d3220000000p+0F,  0x1.75dd380000000p+0F,  -0x1.dab5b40000000p-2F, 0x1.8b1f0a0000000p-1F,
    0x1.83c3a80000000p-2F,  -0x1.4e891e0000000p+1F, 0x1.0068560000000p-2F,  -0x1.f687dc0000000p-5F,
    0x1.54dbb80000000p-4F,  -0x1.13ae140000000p+0F, -0x1.13cfb60000000p-2F, -0x1.6d12ee0000000p-3F,
    0x1.3026f20000000p+0F,  0x1.56740c0000000p-2F,  -0x1.6c0df20000000p-8F, 0x1.876a940000000p+0F};
static const float golden_truth_f1[] = {
    -0x1.1c49740000000p-1F, -0x1.8ec6d20000000p-2F, -0x1.d116dc0000000p+0F, 0x1.91b0ec0000000p+0F,
    0x1.edbcf80000000p-1F,  0x1.d56d1c0000000p-1F,  0x1.5679dc0000000p-1F,  0x1.c32b2a0000000p-4F,
    0x1.b952440000000p-3F,  -0x1.020e040000000p-2F, -0x1.a0f9420000000p-3F, 0x1.bcdaee0000000p-5F,
    0x1.8307420000000p+0F,  0x1.1c83200000000p-1F,  -0x1.dee7c60000000p-5F, -0x1.28a6140000000p-1F,
    -0x1.451e860000000p-1F, 0x1.9a4ae00000000p+0F,  0x1.036c840000000p-1F,  0x1.14afe40000000p-4F};
static const float golden_answer_f2[] = {2, 2, 2, 2, 7};
static const float golden_truth_f2[] = {1, 2, 3, 4, 5};
static const float golden_answer_f3[] = {1, 2};
static const float golden_truth_f3[] = {5, 3};
static const float golden_answer_f4[] = {1, 2, 4};
static const float golden_truth_f4[] = {10, 20, 21};
static const float golden_answer_f5[] = {1, 2, 4};
static const float golden_truth_f5[] = {3, 2, 1};
static const float golden_answer_f6[] = {0x1.3882000000000p+13F, 10000.5F, 0x1.3886000000000p+13F,
                                         10001.5F};
static const float golden_truth_f6[] = {5000, 5000.5F, 5000.25F, 5001};
static const float golden_answer_f7[] = {0x1.93e5940000000p+99, 0x1.93e5940000000p+100,
                                         -0x1.93e5940000000p+99};
static const float golden_truth_f7[] = {0x1.e6c7200000000p-99F, 0x1.4484c00000000p-100F,
                                        0x1.4484c00000000p-99F};
static const float golden_answer_f8[] = {2, 2, 2};
static const float golden_truth_f8[] = {1, 2, 4};
static const float golden_answer_f9[] = {1, 2, 4};
static const float golden_truth_f9[] = {0, 0, 0};
static const float golden_answer_f10[] = {NAN, 1, 2, 3};
static const float golden_truth_f10[] = {1, 2, 4, 3};
static const float golden_answer_f11[] = {1, 2, INFINITY, 3};
static const float golden_truth_f11[] = {1, 2, 4, 5};
static const golden_numbers golden_number_cases[] = {
    {"ties", 30, golden_answer_f0, golden_truth_f0, 0x1.7293dafc1b4d2p-1, 0x1.7aab0a6774f79p-1},
    {"no ties", 20, golden_answer_f1, golden_truth_f1, 0x1.7ff24cd3ef10ap-4, 0x1.71905c6417190p-3},
    {"all tied but one", 5, golden_answer_f2, golden_truth_f2, 0x1.6a09e667f3bccp-1,
     0x1.6a09e667f3bccp-1},
    {"two rows", 2, golden_answer_f3, golden_truth_f3, -0x1.0000000000000p+0,
     -0x1.fffffffffffffp-1},
    {"in order", 3, golden_answer_f4, golden_truth_f4, 0x1.9d471735fea66p-1, 0x1.0000000000000p+0},
    {"in reverse", 3, golden_answer_f5, golden_truth_f5, -0x1.f6c6261db0fbep-1,
     -0x1.0000000000000p+0},
    {"far from zero", 4, golden_answer_f6, golden_truth_f6, 0x1.ce98967d4faa9p-1,
     0x1.9999999999999p-1},
    {"huge", 3, golden_answer_f7, golden_truth_f7, -0x1.4f2ec413cb529p-2, -0x1.0000000000000p-1},
    {"constant answers", 3, golden_answer_f8, golden_truth_f8, NAN, NAN},
    {"constant truths", 3, golden_answer_f9, golden_truth_f9, NAN, NAN},
    {"not a number", 4, golden_answer_f10, golden_truth_f10, NAN, NAN},
    {"infinity", 4, golden_answer_f11, golden_truth_f11, NAN, 0x1.9999999999999p-1}};
enum { GOLDEN_ROWS = 10000 };
static const golden_drawn golden_drawn_cases[] = {
    {0, 0x1.68cfd404400d0p-1, 0x1.6559fa8c82e71p-1},
    {4096, 0x1.68cfd404400cep-1, 0x1.6559fa8c82e71p-1}};
