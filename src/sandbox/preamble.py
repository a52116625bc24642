# What the judges of LeetCode-style programs have imported when a program begins: verl's and LiveCodeBench's graders put
# the same modules before it. builtins comes last, because operator, math and io have names of builtins.
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
from json import *
from builtins import *
import bisect, builtins, collections, copy, datetime, functools, heapq, io, itertools, json, math, operator, os, random, re
import statistics, string, sys, typing
sys.setrecursionlimit(50000)
