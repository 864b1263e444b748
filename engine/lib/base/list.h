/* Intrusive doubly linked list. A node outside any list points to itself. */
#ifndef STEERWAY_BASE_LIST_H
#define STEERWAY_BASE_LIST_H

#include <stdbool.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/** Harmless on a node outside any list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

/** Walk the list. The body may remove `it`, but no other node. */
#define LIST_EACH(head, it, tmp)                                                                             \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
