"""What a generation has lost: metrics of models on held-out human text, and of the text that models write.

Names of metrics in the store: `heldout_*` are of the model on held-out human text; `arm_*` and `t1_*` of text it
wrote, under the arm's own decoding and from its own distribution (temperature 1).
"""
