// Decision trees as the operators of ai.onnx.ml give them, checked, and flattened into the arrays of the op
// tree_ensemble.
//
// Every test becomes x <= split with a bit that says where NaN goes, which is all that the walk knows:
//   x <  t: x <= the number before t          x >  t: x <= t with the children swapped
//   x == t: x <= t, then x <= the number before t          x in a set: a balanced search among its members' bounds
#pragma once

#include "families.h"

namespace cameo::frontend {

struct TreeModel {
  enum class Mode : uint8_t { less_equal, less, greater_equal, greater, equal, not_equal, member, leaf };
  struct Node {
    Mode mode = Mode::leaf;
    int64_t feature = 0;
    double split = 0;
    bool missing_true = false;                       ///< NaN goes to the true child whatever the test says
    int64_t yes = -1, no = -1;                       ///< children: nodes
    std::vector<double> members;                     ///< of mode member
    std::vector<std::pair<int64_t, double>> weights; ///< of a leaf: target, weight
  };
  DType dtype = DType::f32; ///< in which x is compared with splits and weights are summed: f32 or f64
  std::vector<Node> nodes;
  std::vector<int64_t> roots;
  int64_t targets = 0;
  std::string aggregate = "sum"; ///< sum, min or max
};

/// Whether target k gets a weight from every leaf of some tree (always), from some leaves only, or from none.
enum class Scored : uint8_t { never, sometimes, always };
std::vector<Scored> scored_targets(const TreeModel &model);

/// The scores [rows, targets] of `rows` [rows, features], in the model's dtype; a leaf without a weight for a target
/// adds nothing. Fails the node where children or features are out of range, or where a tree has a cycle.
Value *tree_scores(NodeImport &n, const TreeModel &model, Value *rows);

} // namespace cameo::frontend
