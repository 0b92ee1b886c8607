/* Compiled kernels of the search renderer: the fast twins of shear_warp_kernels.py, which explains the arrays.
 *
 * A filled run of a row is resampled once to the columns of the plane image, sixteen at a time without gathers, and
 * added to the two or three rows of the plane image that see it. Every function returns 0, or -1 without memory. */

#ifdef __AVX512F__
#pragma GCC target("prefer-vector-width=512")
#endif

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16             /* Plane images end in this many spare columns, so that whole vectors may be written. */
#define MOST_ROWS 4          /* of the plane image that a strip is added to at a time */
#define FARTHEST 1e8         /* place in voxels that is still computed with */
#define LEAST_SLOPE 1e-6     /* of a ray, in slices per millimetre of depth: one that runs along the slices meets none */
#define MOST_SCALE 1.8       /* of a slice, for whole vectors */

typedef struct {
    const float *density;        /* filled runs, one after the other */
    const int32_t *runs;         /* (run, 3): first column, last-plus-one column, place of the first in density */
    const int32_t *run_starts;   /* (slice, row) to the first of its runs */
    int slices, rows, columns;
} Bone;

typedef struct {
    const double *mapping;       /* (3, 4): rays of pixels and the focus, in voxel indices */
    double middle;               /* slice index of the plane image */
    int seen, row_first, rows, column_first, columns, stride;
    float *image;                /* (rows, stride) */
    int32_t *source;             /* of each plane column: column on its left in the slice */
    float *weight;               /* of the column on its right */
    int32_t *begin, *end;        /* of each slice column: the plane column on its right, and after that on its left */
    int32_t *upper, *lower;      /* of each slice row: the first plane row that sees it, and after the last */
} Plane;

typedef struct {
    Plane plane;
    size_t size;                 /* bytes of the plane image */
    float *image;                /* one detector image */
    int32_t *corner;             /* of each pixel in a row: index of its upper left neighbour in the plane image */
    float *right, *below, *scale;
} Workspace;

/* First and number of the places along one axis of the plane image that all slices cover; 0 if they are absurdly far. */
static int extent(double focus_slice, double focus, double middle, int slices, int size, int *first, int *count) {
    double low = 1e9, high = -1e9;
    for (int end = 0; end < 2; end++)
        for (int edge = 0; edge < 2; edge++) {
            double scale = (end * (slices - 1) - focus_slice) / (middle - focus_slice);
            double place = focus + (edge * (size - 1) - focus) / scale;
            low = fmin(low, place);
            high = fmax(high, place);
        }
    if (!(fabs(low) < FARTHEST && fabs(high) < FARTHEST)) return 0;
    *first = (int)floor(low);
    *count = (int)ceil(high) - *first + 2;
    return 1;
}

/* Sizes of the plane image, and room for it. */
static int prepare(const Bone *bone, const double *mapping, Workspace *work) {
    Plane *plane = &work->plane;
    const double focus = mapping[3];
    plane->mapping = mapping;
    plane->middle = 0.5 * (bone->slices - 1);
    plane->seen = 0;
    if (focus > -1 && focus < bone->slices) return 0; /* The focus lies between the slices: no such X-ray exists. */
    if (!extent(focus, mapping[7], plane->middle, bone->slices, bone->rows, &plane->row_first, &plane->rows) ||
        !extent(focus, mapping[11], plane->middle, bone->slices, bone->columns, &plane->column_first, &plane->columns))
        return 0;
    if ((double)plane->rows * plane->columns > 16.0 * bone->rows * bone->columns) return 0; /* It all but touches. */
    plane->seen = 1;
    plane->stride = (plane->columns + 2 * LANES - 1) / LANES * LANES;
    const size_t tables = 2 * ((size_t)bone->columns + bone->rows);
    const size_t need = sizeof(float) * ((size_t)plane->stride * (plane->rows + 2) + tables);
    if (need > work->size) {
        free(plane->image);
        plane->image = malloc(need);
        work->size = plane->image ? need : 0;
        if (!plane->image) return -1;
    }
    memset(plane->image, 0, sizeof(float) * plane->stride * plane->rows);
    plane->weight = plane->image + (size_t)plane->stride * plane->rows;
    plane->source = (int32_t *)(plane->weight + plane->stride);
    plane->begin = plane->source + plane->stride;
    plane->end = plane->begin + bone->columns;
    plane->upper = plane->end + bone->columns;
    plane->lower = plane->upper + bone->rows;
    return 0;
}

/* Plane columns of a run, and the rows of the plane image that see it. `density[column]` is the run's voxel there. */
typedef struct {
    const float *density;
    int begin, end;
    float *image;                /* first of the rows */
    const float *row_weights;
    int rows;
} Strip;

static inline void add_strip(const Plane *plane, const Strip *strip) {
    for (int start = strip->begin; start < strip->end; start += LANES) {
        const int lanes = strip->end - start < LANES ? strip->end - start : LANES;
        float value[LANES];
        for (int n = 0; n < lanes; n++) {
            const float *from = strip->density + plane->source[start + n];
            value[n] = from[0] + plane->weight[start + n] * (from[1] - from[0]);
        }
        for (int r = 0; r < strip->rows; r++) {
            float *restrict to = strip->image + (size_t)r * plane->stride + start;
            for (int n = 0; n < lanes; n++) to[n] += strip->row_weights[r] * value[n];
        }
    }
}

#ifdef __AVX512F__
/* The same in whole vectors: sixteen neighbours are picked from 32 voxels of the run. */
static inline void add_strip_wide(const Plane *plane, const Strip *strip) {
    for (int start = strip->begin; start < strip->end; start += LANES) {
        const int first = plane->source[start], rest = strip->end - start;
        const float *from = strip->density + first;
        const __m512i left = _mm512_sub_epi32(_mm512_loadu_si512(plane->source + start), _mm512_set1_epi32(first));
        const __m512i right = _mm512_add_epi32(left, _mm512_set1_epi32(1));
        const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + LANES);
        const __m512 a = _mm512_permutex2var_ps(low, left, high), b = _mm512_permutex2var_ps(low, right, high);
        const __m512 blend = _mm512_fmadd_ps(_mm512_loadu_ps(plane->weight + start), _mm512_sub_ps(b, a), a);
        const __mmask16 inside = (__mmask16)_bzhi_u32(0xffff, rest < LANES ? rest : LANES);
        const __m512 value = _mm512_maskz_mov_ps(inside, blend);
        float *to = strip->image + start;
        for (int r = 0; r < strip->rows; r++, to += plane->stride)
            _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_set1_ps(strip->row_weights[r]), value, _mm512_loadu_ps(to)));
    }
}
#else
#define add_strip_wide add_strip
#endif

static inline int clipped(double value, int most) { return (int)fmin(fmax(value, 0), most); }

/* Relate columns and rows of one slice to those of the plane image: place in the slice = shift + scale * place. */
static void relate(const Bone *bone, Plane *plane, double shift, double row_shift, double scale) {
    const double inverse = 1 / scale;
    const int rows = plane->rows, columns = plane->columns;
    int32_t *restrict source = plane->source, *restrict begin = plane->begin, *restrict end = plane->end;
    int32_t *restrict upper = plane->upper, *restrict lower = plane->lower;
    float *restrict weight = plane->weight;
    for (int column = 0; column < plane->stride; column++) {
        const double place = shift + scale * column, left = floor(place);
        source[column] = (int32_t)left;
        weight[column] = (float)(place - left);
    }
    for (int column = 0; column < bone->columns; column++) {
        const double place = (column - shift) * inverse;
        begin[column] = clipped(ceil(place), columns);
        end[column] = clipped(floor(place) + 1, columns);
    }
    for (int row = 0; row < bone->rows; row++) {
        upper[row] = clipped(floor((row - 1 - row_shift) * inverse) + 1, rows);
        lower[row] = clipped(ceil((row + 1 - row_shift) * inverse), rows);
    }
}

/* Add one slice, scaled about the focus, to the plane image. */
static void add_slice(const Bone *bone, int slice, Plane *plane) {
    const double *mapping = plane->mapping;
    const double scale = (slice - mapping[3]) / (plane->middle - mapping[3]);
    const double row_shift = mapping[7] * (1 - scale) + scale * plane->row_first;
    relate(bone, plane, mapping[11] * (1 - scale) + scale * plane->column_first, row_shift, scale);
    const int32_t *starts = bone->run_starts + (size_t)slice * bone->rows;
    for (int row = 0; row < bone->rows; row++) {
        if (starts[row] == starts[row + 1]) continue;
        for (int upper = plane->upper[row]; upper < plane->lower[row]; upper += MOST_ROWS) {
            const int rows = plane->lower[row] - upper < MOST_ROWS ? plane->lower[row] - upper : MOST_ROWS;
            float row_weights[MOST_ROWS];
            for (int r = 0; r < MOST_ROWS; r++)
                row_weights[r] = (float)(1 - fabs(row_shift + scale * (upper + r) - row));
            for (int n = starts[row]; n < starts[row + 1]; n++) {
                const int32_t *run = bone->runs + 3 * (size_t)n;
                const Strip strip = {bone->density + run[2] - run[0], plane->begin[run[0]], plane->end[run[1] - 1],
                                     plane->image + (size_t)upper * plane->stride, row_weights, rows};
                if (scale < MOST_SCALE)
                    add_strip_wide(plane, &strip);
                else
                    add_strip(plane, &strip);
            }
        }
    }
}

/* Narrow a range of whole numbers x to those with a + b x >= 0. */
static void narrow(double a, double b, int *first, int *last) {
    if (b > 0)
        *first = (int)fmin(fmax(ceil(-a / b), *first), *last);
    else if (b < 0)
        *last = (int)fmax(fmin(floor(-a / b) + 1, *last), *first);
    else if (a < 0)
        *last = *first;
}

/* Narrow the columns of a detector row to those whose rays meet the plane image, ahead of the focus. */
static void seen_columns(const Plane *plane, int row, int *first, int *last) {
    const double *m = plane->mapping;
    const double to_plane = plane->middle - m[3], sign = to_plane > 0 ? 1 : -1;
    const double depth = sign * (m[1] * row + m[2]), slope = sign * m[0];
    narrow(depth - LEAST_SLOPE, slope, first, last);
    for (int axis = 0; axis < 2; axis++) {
        const double *along = m + 4 + 4 * axis;
        const double start = along[3] - (axis ? plane->column_first : plane->row_first);
        const double size = (axis ? plane->columns : plane->rows) - 1;
        const double reach = fabs(to_plane) * (along[1] * row + along[2]), turn = fabs(to_plane) * along[0];
        narrow(start * depth + reach, start * slope + turn, first, last);
        narrow((size - start) * depth - reach, (size - start) * slope - turn, first, last);
    }
}

/* Where the pixels of one detector row lie in the plane image. A pixel outside is moved to the rim, which is empty.
 * From the middle pixel on, which is placed in double precision, distances are short enough for single precision. */
static void look_up(const Plane *plane, int row, int from, int to, Workspace *work) {
    const double *m = plane->mapping;
    const int middle = (from + to) / 2;
    const double depth = m[0] * middle + m[1] * row + m[2], to_plane = (plane->middle - m[3]) / depth;
    const double down = m[4] * middle + m[5] * row + m[6], along = m[8] * middle + m[9] * row + m[10];
    const float slope = (float)(m[0] / depth), path = (float)fabs(1 / depth);
    const float row_slope = (float)(to_plane * (m[4] - down * m[0] / depth));
    const float column_slope = (float)(to_plane * (m[8] - along * m[0] / depth));
    const float row_start = (float)(m[7] - plane->row_first + to_plane * down);
    const float column_start = (float)(m[11] - plane->column_first + to_plane * along);
    const float last_row = plane->rows - 1.001f, last_column = plane->columns - 1.001f;
    const int stride = plane->stride;
    int32_t *restrict corner = work->corner;
    float *restrict right = work->right, *restrict below = work->below, *restrict scale = work->scale;
    for (int column = from; column < to; column++) {
        const float step = (float)(column - middle), inverse = 1 / (1 + slope * step), t = step * inverse;
        const float u = fminf(fmaxf(row_start + t * row_slope, 0), last_row);
        const float v = fminf(fmaxf(column_start + t * column_slope, 0), last_column);
        const int i = (int)u, j = (int)v;
        corner[column] = i * stride + j;
        below[column] = u - i;
        right[column] = v - j;
        scale[column] = path * inverse;
    }
}

/* Add the plane image, seen through the homography of the detector, to the image. */
static void warp(const Plane *plane, const float *ray_lengths, int rows, int columns, Workspace *work, float *image) {
    const int32_t *restrict corner = work->corner;
    const float *restrict right = work->right, *restrict below = work->below, *restrict scale = work->scale;
    const float *restrict pixels = plane->image;
    const int stride = plane->stride;
    for (int row = 0; row < rows; row++) {
        int first = 0, last = columns;
        seen_columns(plane, row, &first, &last);
        look_up(plane, row, first, last, work);
        const float *restrict length = ray_lengths + (size_t)row * columns;
        float *restrict to = image + (size_t)row * columns;
        int column = first;
#ifdef __AVX512F__
        for (; column + LANES <= last; column += LANES) {
            const __m512i at = _mm512_loadu_si512(corner + column);
            const __m512 a = _mm512_i32gather_ps(at, pixels, 4), b = _mm512_i32gather_ps(at, pixels + 1, 4);
            const __m512 c = _mm512_i32gather_ps(at, pixels + stride, 4);
            const __m512 d = _mm512_i32gather_ps(at, pixels + stride + 1, 4);
            const __m512 x = _mm512_loadu_ps(right + column), y = _mm512_loadu_ps(below + column);
            const __m512 top = _mm512_fmadd_ps(x, _mm512_sub_ps(b, a), a);
            const __m512 bottom = _mm512_fmadd_ps(x, _mm512_sub_ps(d, c), c);
            const __m512 value = _mm512_fmadd_ps(y, _mm512_sub_ps(bottom, top), top);
            const __m512 path = _mm512_mul_ps(_mm512_loadu_ps(length + column), _mm512_loadu_ps(scale + column));
            _mm512_storeu_ps(to + column, _mm512_fmadd_ps(value, path, _mm512_loadu_ps(to + column)));
        }
#endif
        for (; column < last; column++) {
            const int at = corner[column];
            const float a = pixels[at], b = pixels[at + 1], c = pixels[at + stride], d = pixels[at + stride + 1];
            const float top = a + right[column] * (b - a), bottom = c + right[column] * (d - c);
            to[column] += (top + below[column] * (bottom - top)) * length[column] * scale[column];
        }
    }
}

static int open_workspace(Workspace *work, int rows, int columns) {
    memset(work, 0, sizeof *work);
    work->image = malloc(sizeof(float) * ((size_t)rows * columns + 4 * (size_t)columns));
    if (!work->image) return -1;
    work->right = work->image + (size_t)rows * columns;
    work->below = work->right + columns;
    work->scale = work->below + columns;
    work->corner = (int32_t *)(work->scale + columns);
    return 0;
}

/* What happens to each rendered image: it is written, compared or differentiated. */
typedef struct {
    const float *background, *weights, *target;
    float *images, *gradients;
    double *scores;
} Output;

static double compare(const float *image, const float *weights, const float *target, int rows, int columns) {
    double a = 0, b = 0, aa = 0, bb = 0, at = 0, bt = 0;
    const size_t size = (size_t)rows * columns;
    for (int row = 1; row < rows - 1; row++) {
        const float *restrict here = image + (size_t)row * columns, *restrict w = weights + (size_t)row * columns;
        const float *restrict t = target + (size_t)row * columns;
        float sum_r = 0, sum_c = 0, square_r = 0, square_c = 0, cross_r = 0, cross_c = 0;
        for (int column = 1; column < columns - 1; column++) {
            const float g = w[column] * (here[column + columns] - here[column - columns]);
            const float h = w[column] * (here[column + 1] - here[column - 1]);
            sum_r += g;
            sum_c += h;
            square_r += g * g;
            square_c += h * h;
            cross_r += g * t[column];
            cross_c += h * t[column + size];
        }
        a += sum_r, b += sum_c, aa += square_r, bb += square_c, at += cross_r, bt += cross_c;
    }
    const double norm_r = aa - a * a / size, norm_c = bb - b * b / size;
    return norm_r > 0 && norm_c > 0 ? 0.5 * (at / sqrt(norm_r) + bt / sqrt(norm_c)) : 0;
}

static void normalise(float *restrict field, size_t size) {
    double sum = 0, square = 0;
    for (size_t n = 0; n < size; n++) sum += field[n];
    const float mean = (float)(sum / size);
    for (size_t n = 0; n < size; n++) {
        field[n] -= mean;
        square += (double)field[n] * field[n];
    }
    if (square > 0)
        for (size_t n = 0; n < size; n++) field[n] *= (float)(1 / sqrt(square));
}

static void differentiate(const float *image, const float *weights, int rows, int columns, float *gradients) {
    const size_t size = (size_t)rows * columns;
    for (int row = 1; row < rows - 1; row++) {
        const float *restrict here = image + (size_t)row * columns, *restrict w = weights + (size_t)row * columns;
        float *restrict g = gradients + (size_t)row * columns, *restrict h = g + size;
        for (int column = 1; column < columns - 1; column++) {
            g[column] = w[column] * (here[column + columns] - here[column - columns]);
            h[column] = w[column] * (here[column + 1] - here[column - 1]);
        }
    }
    normalise(gradients, size);
    normalise(gradients + size, size);
}

static int project(const Bone *bone, const double *mapping, int64_t poses, const float *ray_lengths, int rows,
                   int columns, const Output *output) {
    Workspace work;
    const size_t size = (size_t)rows * columns;
    int failed = open_workspace(&work, rows, columns);
    for (int64_t pose = 0; pose < poses && !failed; pose++) {
        failed = prepare(bone, mapping + 12 * pose, &work);
        if (failed) break;
        float *image = output->images ? output->images + pose * size : work.image;
        if (output->background) memcpy(image, output->background, sizeof(float) * size);
        if (work.plane.seen) {
            for (int slice = 0; slice < bone->slices; slice++) add_slice(bone, slice, &work.plane);
            warp(&work.plane, ray_lengths, rows, columns, &work, image);
        }
        if (output->scores) output->scores[pose] = compare(image, output->weights, output->target, rows, columns);
        if (output->gradients)
            differentiate(image, output->weights, rows, columns, output->gradients + pose * 2 * size);
    }
    free(work.plane.image);
    free(work.image);
    return failed;
}

int render_all(const float *density, const int32_t *runs, const int32_t *run_starts, const int32_t *shape,
               const double *mapping, int64_t poses, const float *ray_lengths, int32_t rows, int32_t columns,
               float *images) {
    const Bone bone = {density, runs, run_starts, shape[0], shape[1], shape[2]};
    const Output output = {.images = images};
    return project(&bone, mapping, poses, ray_lengths, rows, columns, &output);
}

int score_all(const float *density, const int32_t *runs, const int32_t *run_starts, const int32_t *shape,
              const double *mapping, int64_t poses, const float *ray_lengths, int32_t rows, int32_t columns,
              const float *background, const float *weights, const float *target, double *scores) {
    const Bone bone = {density, runs, run_starts, shape[0], shape[1], shape[2]};
    const Output output = {.background = background, .weights = weights, .target = target, .scores = scores};
    return project(&bone, mapping, poses, ray_lengths, rows, columns, &output);
}

int gradients_all(const float *density, const int32_t *runs, const int32_t *run_starts, const int32_t *shape,
                  const double *mapping, int64_t poses, const float *ray_lengths, int32_t rows, int32_t columns,
                  const float *background, const float *weights, float *gradients) {
    const Bone bone = {density, runs, run_starts, shape[0], shape[1], shape[2]};
    const Output output = {.background = background, .weights = weights, .gradients = gradients};
    return project(&bone, mapping, poses, ray_lengths, rows, columns, &output);
}
