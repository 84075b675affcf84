#include "weights/store_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- opening */

static int compare_names(const void *a, const void *b)
{
    const weight_view *const *left = a, *const *right = b;
    return strcmp((*left)->tensor.name, (*right)->tensor.name);
}

vl2_status weight_store_allocate(weight_store *store, size_t count, vl2_error *error)
{
    store->views = base_calloc(count, sizeof(*store->views));
    store->sorted = base_malloc(count, sizeof(*store->sorted));
    if (store->views == NULL || store->sorted == NULL) {
        return vl2_fail_memory(error, "the list of tensors", count * sizeof(*store->views));
    }
    store->count = count;
    return VL2_OK;
}

void weight_store_sort(weight_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        store->sorted[i] = &store->views[i];
    }
    qsort(store->sorted, store->count, sizeof(*store->sorted), compare_names);
}

static vl2_status view_checkpoint(weight_store *store, vl2_error *error)
{
    vl2_status status = weight_store_allocate(store, checkpoint_count(store->checkpoint), error);
    for (size_t i = 0; status == VL2_OK && i < store->count; i++) {
        store->views[i].tensor = *checkpoint_tensor(store->checkpoint, i);
        store->views[i].record = WEIGHT_NO_RECORD;
    }
    return status;
}

vl2_status weight_store_create(const char *path, weight_store **store, vl2_error *error)
{
    weight_store *created = base_calloc(1, sizeof(*created));
    if (created == NULL) {
        return vl2_fail_memory(error, path, sizeof(*created));
    }
    pthread_mutex_init(&created->mutex, NULL);
    created->check = true;
    *store = created;
    return VL2_OK;
}

vl2_status weight_store_open(const char *path, weight_store **store, vl2_error *error)
{
    weight_store *opened = NULL;
    vl2_status status = weight_store_create(path, &opened, error);
    if (status != VL2_OK) {
        return status;
    }
    if (pack_recognise(path)) {
        status = pack_open(path, &opened->pack, error);
        status = status == VL2_OK ? weight_store_view_pack(opened, error) : status;
    } else {
        status = checkpoint_open(path, &opened->checkpoint, error);
        status = status == VL2_OK ? view_checkpoint(opened, error) : status;
    }
    if (status != VL2_OK) {
        weight_store_close(opened);
        return status;
    }
    weight_store_sort(opened);
    *store = opened;
    return VL2_OK;
}

void weight_store_close(weight_store *store)
{
    if (store == NULL) {
        return;
    }
    weight_store_close_pager(store);
    weight_store_free_records(store);
    random_weights_free(store->random);
    base_free(store->sorted);
    base_free(store->views);
    pack_close(store->pack);
    checkpoint_close(store->checkpoint);
    pthread_mutex_destroy(&store->mutex);
    base_free(store);
}

/* ------------------------------------------------------------------------------- looking */

const weight_view *weight_store_find(const weight_store *store, const char *name)
{
    if (store->count == 0) {
        return NULL;
    }
    const weight_view key = {.tensor = {.name = name}}, *wanted = &key;
    const weight_view *const *found =
        bsearch(&wanted, store->sorted, store->count, sizeof(*store->sorted), compare_names);
    return found != NULL ? *found : NULL;
}

size_t weight_store_count(const weight_store *store)
{
    return store->count;
}

const weight_view *weight_store_get(const weight_store *store, size_t index)
{
    return &store->views[index];
}

const checkpoint *weight_store_checkpoint(const weight_store *store)
{
    return store->checkpoint;
}

const pack_file *weight_store_pack(const weight_store *store)
{
    return store->pack;
}

const char *weight_store_file_of(const weight_store *store, const weight_view *view)
{
    if (store->pack != NULL) {
        return pack_name(store->pack);
    }
    if (store->random != NULL) {
        return "random weights";
    }
    size_t index = (size_t)(view - store->views);
    return checkpoint_file_of(store->checkpoint, checkpoint_tensor(store->checkpoint, index));
}

const char *weight_store_type_of(const weight_store *store, const weight_view *view)
{
    if (store->random != NULL) {
        return random_weights_type_of(view);
    }
    size_t index = (size_t)(view - store->views);
    if (store->pack != NULL) {
        return pack_type_name(pack_tensor_get(store->pack, index)->type);
    }
    return checkpoint_dtype_of(store->checkpoint, checkpoint_tensor(store->checkpoint, index));
}

uint64_t weight_store_file_bytes(const weight_store *store)
{
    if (store->random != NULL) {
        return random_weights_bytes(store->random);
    }
    return store->pack != NULL ? pack_size(store->pack)
                               : checkpoint_file_bytes(store->checkpoint);
}
