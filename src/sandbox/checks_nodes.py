# Follows checks_codec.py: the lists and trees of LeetCode's problems, which are passed between the processes by value.

class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next


class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right


def list_values(node):
    """Returns None for a list that has a cycle."""
    values, seen = [], set()
    while node is not None:
        if id(node) in seen:
            return None
        seen.add(id(node))
        values.append(node.val)
        node = node.next
    return values


def list_node(values, kind=ListNode):
    nodes = [kind(value) for value in values or ()]
    for node, following in zip(nodes, nodes[1:]):
        node.next = following
    return nodes[0] if nodes else None


def tree_values(root):
    """The values level by level, with None for a missing child. Returns None if the nodes do not form a tree."""
    values, level, seen = [], collections.deque([root]), set()
    while level:
        node = level.popleft()
        if node is None:
            values.append(None)
            continue
        if id(node) in seen:
            return None
        seen.add(id(node))
        values.append(node.val)
        level.extend((node.left, node.right))
    while values and values[-1] is None:
        values.pop()
    return values


def tree_node(values, kind=TreeNode):
    if not values:
        return None
    rest = iter(values)
    root = kind(next(rest))
    parents = collections.deque([root])
    while parents:
        parent = parents.popleft()
        for side in ("left", "right"):
            value = next(rest, None)
            if value is not None:
                setattr(parent, side, kind(value))
                parents.append(getattr(parent, side))
    return root


def is_same_list(first, second):
    values = list_values(first)
    return values is not None and values == list_values(second)


def is_same_tree(first, second):
    values = tree_values(first)
    return values is not None and values == tree_values(second)


NODES = {"ListNode": (ListNode, list_values, list_node), "TreeNode": (TreeNode, tree_values, tree_node)}
# Helpers that LeetCodeDataset's checks use without defining them.
NODE_HELPERS = {f.__name__: f for f in (list_node, tree_node, is_same_list, is_same_tree)}
