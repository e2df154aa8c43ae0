"""The same request asked of a task's other model, in the background, within a budget, compared by the task's grader."""
