# The imports that judges of LeetCode-style programs have executed before a program begins: verl's and LiveCodeBench's
# graders import the same modules, and LeetCodeDataset's adds the two classes. Names of builtins that operator, math and
# io also define are removed again, so that they mean the builtins.
from typing import *
from string import *
from re import *
from datetime import *
from collections import *
from heapq import *
from bisect import *
from copy import *
from math import *
from random import *
from statistics import *
from itertools import *
from functools import *
from operator import *
from io import *
from sys import *
from json import *
import bisect, builtins, collections, copy, datetime, functools, heapq, io, itertools, json, math, operator, os, random, re
import statistics, string, sys, typing
for _name in dir(builtins):
    if not _name.startswith("_"):
        globals().pop(_name, None)
sys.setrecursionlimit(50000)


class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next


class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
