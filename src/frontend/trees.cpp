// Tree ensembles of ai.onnx.ml, in both ways of writing them: nodes with ids per tree (TreeEnsembleClassifier and
// -Regressor), and nodes by position with leaves apart (TreeEnsemble).
#include "classical.h"
#include "tree_model.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace cameo::frontend {
namespace {

using Mode = TreeModel::Mode;

// A list of numbers that is an attribute of floats, or a tensor beside it under another name.
std::vector<double> numbers(NodeImport &n, const std::string &attribute, DType dtype) {
  std::vector<double> values = n.reals(attribute);
  const std::string as_tensor = attribute + "_as_tensor";
  if (!n.defines(as_tensor) || !n.has(as_tensor)) return values;
  const Constant data = n.tensor(as_tensor);
  if (n.failed() || !data) return {};
  if (!values.empty()) {
    n.fail(attribute + " and " + as_tensor + " exclude each other");
    return {};
  }
  if (data->dtype() != DType::f32 && data->dtype() != DType::f64) {
    n.fail(as_tensor + " is of " + std::string(name(data->dtype())));
    return {};
  }
  if (data->dtype() == DType::f64 && dtype != DType::f64) {
    n.unsupported(as_tensor + " of f64 for an input of less");
    return {};
  }
  for (int64_t i = 0; i < data->count(); ++i) values.push_back(data->as_double(i));
  return values;
}

bool same_size(NodeImport &n, std::string_view what, size_t size, size_t nodes) {
  if (size != nodes)
    n.fail(std::string(what) + " has " + std::to_string(size) + " entries for " + std::to_string(nodes));
  return !n.failed();
}

Mode mode_of(NodeImport &n, const std::string &text) {
  constexpr std::pair<std::string_view, Mode> kModes[] = {
      {"BRANCH_LEQ", Mode::less_equal},
      {"BRANCH_LT", Mode::less},
      {"BRANCH_GTE", Mode::greater_equal},
      {"BRANCH_GT", Mode::greater},
      {"BRANCH_EQ", Mode::equal},
      {"BRANCH_NEQ", Mode::not_equal},
      {"LEAF", Mode::leaf},
  };
  for (const auto &[name, mode] : kModes)
    if (name == text) return mode;
  n.fail("a node of mode '" + escape_name(text) + "'");
  return Mode::leaf;
}

// Nodes and weights of the operators with ids; `prefix` of the weights' attributes is class or target.
TreeModel trees_by_id(NodeImport &n, DType dtype, const std::string &prefix, int64_t targets) {
  TreeModel model;
  model.dtype = dtype;
  model.targets = targets;
  const std::vector<int64_t> trees = n.ints("nodes_treeids"), ids = n.ints("nodes_nodeids"),
                             features = n.ints("nodes_featureids"), yes = n.ints("nodes_truenodeids"),
                             no = n.ints("nodes_falsenodeids"), missing = n.ints("nodes_missing_value_tracks_true");
  const std::vector<std::string> modes = n.texts("nodes_modes");
  const std::vector<double> splits = numbers(n, "nodes_values", dtype);
  const size_t count = ids.size();
  if (n.failed() || !same_size(n, "nodes_treeids", trees.size(), count) ||
      !same_size(n, "nodes_featureids", features.size(), count) ||
      !same_size(n, "nodes_truenodeids", yes.size(), count) || !same_size(n, "nodes_falsenodeids", no.size(), count) ||
      !same_size(n, "nodes_modes", modes.size(), count) || !same_size(n, "nodes_values", splits.size(), count))
    return model;
  if (!missing.empty() && !same_size(n, "nodes_missing_value_tracks_true", missing.size(), count)) return model;
  std::map<std::pair<int64_t, int64_t>, int64_t> position;
  auto text = [](int64_t tree, int64_t id) {
    return "node " + std::to_string(id) + " of tree " + std::to_string(tree);
  };
  int64_t previous = 0;
  std::map<int64_t, int64_t> roots; // the first node of a tree is its root
  for (size_t i = 0; i < count; ++i) {
    if (!position.emplace(std::pair(trees[i], ids[i]), int64_t(i)).second) {
      n.fail(text(trees[i], ids[i]) + " is there twice");
      return model;
    }
    if ((i == 0 || trees[i] != previous) && roots.emplace(trees[i], int64_t(i)).second)
      model.roots.push_back(int64_t(i));
    previous = trees[i];
  }
  auto find = [&](int64_t tree, int64_t id, const char *what) {
    auto it = position.find({tree, id});
    if (it == position.end()) n.fail(text(tree, id) + ", which " + what + " names, is not there");
    return it == position.end() ? int64_t{0} : it->second;
  };
  for (size_t i = 0; i < count && !n.failed(); ++i) {
    TreeModel::Node node;
    node.mode = mode_of(n, modes[i]);
    node.feature = features[i];
    node.split = splits[i];
    node.missing_true = !missing.empty() && missing[i] == 1;
    if (node.mode != Mode::leaf && !n.failed()) {
      node.yes = find(trees[i], yes[i], "nodes_truenodeids");
      node.no = find(trees[i], no[i], "nodes_falsenodeids");
    }
    model.nodes.push_back(std::move(node));
  }
  const std::vector<int64_t> weight_trees = n.ints(prefix + "_treeids"), weight_nodes = n.ints(prefix + "_nodeids"),
                             weight_targets = n.ints(prefix + "_ids");
  const std::vector<double> weights = n.failed() ? std::vector<double>() : numbers(n, prefix + "_weights", dtype);
  if (n.failed() || !same_size(n, prefix + "_treeids", weight_trees.size(), weight_targets.size()) ||
      !same_size(n, prefix + "_nodeids", weight_nodes.size(), weight_targets.size()) ||
      !same_size(n, prefix + "_weights", weights.size(), weight_targets.size()))
    return model;
  for (size_t i = 0; i < weights.size() && !n.failed(); ++i) {
    if (weight_targets[i] < 0 || weight_targets[i] >= targets) {
      n.fail(prefix + "_ids has " + std::to_string(weight_targets[i]) + ", there are " + std::to_string(targets));
      break;
    }
    const int64_t at = find(weight_trees[i], weight_nodes[i], "a weight");
    if (!n.failed() && model.nodes[size_t(at)].mode == Mode::leaf)
      model.nodes[size_t(at)].weights.emplace_back(weight_targets[i], weights[i]);
  }
  return model;
}

DType compare_type(const Value *x) { return x && x->type().dtype() == DType::f64 ? DType::f64 : DType::f32; }

// The scores of an aggregate function in words, base values added, in the dtype of the output.
Value *aggregated(NodeImport &n, TreeModel &model, Value *rows, const std::string &aggregate,
                  const std::vector<double> &base, DType output) {
  if (n.failed()) return nullptr;
  if (!base.empty() && int64_t(base.size()) != model.targets)
    return n.fail(std::to_string(base.size()) + " base values for " + std::to_string(model.targets) + " targets");
  const auto trees = double(model.roots.size());
  model.aggregate = aggregate == "average" ? "sum" : aggregate;
  Value *scores = tree_scores(n, model, rows);
  if (aggregate == "average") scores = n.map(Fn::div, {scores, n.scalar(model.dtype, trees)});
  if (aggregate == "min" || aggregate == "max") { // no leaf of any tree had a weight
    const std::vector<Scored> scored = scored_targets(model);
    if (std::find_if(scored.begin(), scored.end(), [](Scored s) { return s != Scored::always; }) != scored.end())
      scores = n.map(Fn::select, {n.map(Fn::is_inf, {scores}, 1, 1), n.scalar(model.dtype, 0), scores});
  }
  if (!base.empty()) scores = n.map(Fn::add, {scores, reals_constant(n, model.dtype, {model.targets}, base)});
  return n.failed() ? nullptr : n.cast(scores, output);
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return char(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

} // namespace

void import_tree_ensemble_regressor(NodeImport &n) {
  const DType t = compare_type(n.input(0));
  Value *rows = feature_rows(n, t);
  const std::string transform = post_transform_of(n);
  const std::string aggregate = lower_case(n.word("aggregate_function", {"SUM", "AVERAGE", "MIN", "MAX"}));
  const int64_t targets = n.integer("n_targets", 0);
  if (targets < 1 || targets > 1 << 20) return void(n.fail("n_targets is " + std::to_string(targets)));
  TreeModel model = trees_by_id(n, t, "target", targets);
  const std::vector<double> base = n.failed() ? std::vector<double>() : numbers(n, "base_values", t);
  n.result(post_transform(n, transform, aggregated(n, model, rows, aggregate, base, DType::f32)));
}

void import_tree_ensemble(NodeImport &n) {
  if (n.failed() || !n.input(0)) return;
  const DType type = n.input(0)->type().dtype(), t = compare_type(n.input(0));
  Value *rows = feature_rows(n, t);
  constexpr std::string_view kTransforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  constexpr const char *kAggregates[] = {"average", "sum", "min", "max"};
  const int64_t transform = n.integer("post_transform"), aggregate = n.integer("aggregate_function");
  if (transform < 0 || transform > 4) return void(n.fail("post_transform is " + std::to_string(transform)));
  if (aggregate < 0 || aggregate > 3) return void(n.fail("aggregate_function is " + std::to_string(aggregate)));
  TreeModel model;
  model.dtype = t;
  model.targets = n.integer("n_targets", 0);
  if (model.targets < 1 || model.targets > 1 << 20)
    return void(n.fail("n_targets is " + std::to_string(model.targets)));
  const std::vector<int64_t> features = n.ints("nodes_featureids"), yes = n.ints("nodes_truenodeids"),
                             no = n.ints("nodes_falsenodeids"), yes_leaf = n.ints("nodes_trueleafs"),
                             no_leaf = n.ints("nodes_falseleafs"), leaf_targets = n.ints("leaf_targetids"),
                             missing = n.ints("nodes_missing_value_tracks_true");
  const Constant modes = n.tensor("nodes_modes"), splits = n.tensor("nodes_splits"), weights = n.tensor("leaf_weights");
  const Constant members = n.has("membership_values") ? n.tensor("membership_values") : nullptr;
  if (n.failed() || !modes || !splits || !weights) return;
  const size_t count = features.size(), leaves = leaf_targets.size();
  if (modes->dtype() != DType::u8) return void(n.fail("nodes_modes is of " + std::string(name(modes->dtype()))));
  for (const Constant &c : {splits, weights, members})
    if (c && c->dtype() != type)
      return void(n.fail("splits, weights or members are of " + std::string(name(c->dtype())) + ", the input is of " +
                         std::string(name(type))));
  if (!same_size(n, "nodes_truenodeids", yes.size(), count) || !same_size(n, "nodes_falsenodeids", no.size(), count) ||
      !same_size(n, "nodes_trueleafs", yes_leaf.size(), count) ||
      !same_size(n, "nodes_falseleafs", no_leaf.size(), count) ||
      !same_size(n, "nodes_modes", size_t(modes->count()), count) ||
      !same_size(n, "nodes_splits", size_t(splits->count()), count) ||
      !same_size(n, "leaf_weights", size_t(weights->count()), leaves) ||
      (!missing.empty() && !same_size(n, "nodes_missing_value_tracks_true", missing.size(), count)))
    return;
  // Leaves are nodes behind the others; sets of members end with a NaN each.
  int64_t next_member = 0;
  for (size_t i = 0; i < count; ++i) {
    TreeModel::Node node;
    const int64_t mode = modes->as_int(int64_t(i));
    constexpr Mode kModes[] = {Mode::less_equal, Mode::less,      Mode::greater_equal, Mode::greater,
                               Mode::equal,      Mode::not_equal, Mode::member};
    if (mode > 6) return void(n.fail("a node of mode " + std::to_string(mode)));
    node.mode = kModes[mode];
    node.feature = features[i];
    node.split = splits->as_double(int64_t(i));
    node.missing_true = !missing.empty() && missing[i] == 1;
    auto child = [&](int64_t at, int64_t leaf) {
      const int64_t limit = int64_t(leaf != 0 ? leaves : count);
      if (at < 0 || at >= limit)
        n.fail("node " + std::to_string(i) + " has " + (leaf != 0 ? "leaf " : "child ") + std::to_string(at) + " of " +
               std::to_string(limit));
      return leaf != 0 ? int64_t(count) + at : at;
    };
    node.yes = child(yes[i], yes_leaf[i]);
    node.no = child(no[i], no_leaf[i]);
    if (n.failed()) return;
    if (node.mode == Mode::member) {
      if (!members || next_member >= members->count())
        return void(n.fail("membership_values has no set for node " + std::to_string(i)));
      for (; next_member < members->count() && !std::isnan(members->as_double(next_member)); ++next_member)
        node.members.push_back(members->as_double(next_member));
      ++next_member;
    }
    model.nodes.push_back(std::move(node));
  }
  for (size_t i = 0; i < leaves; ++i) {
    if (leaf_targets[i] < 0 || leaf_targets[i] >= model.targets)
      return void(n.fail("leaf_targetids has " + std::to_string(leaf_targets[i]) + ", there are " +
                         std::to_string(model.targets)));
    TreeModel::Node leaf;
    leaf.weights.emplace_back(leaf_targets[i], weights->as_double(int64_t(i)));
    model.nodes.push_back(std::move(leaf));
  }
  model.roots = n.ints("tree_roots");
  for (int64_t root : model.roots)
    if (root < 0 || root >= int64_t(count))
      return void(n.fail("tree_roots has " + std::to_string(root) + " of " + std::to_string(count) + " nodes"));
  Value *scores = aggregated(n, model, rows, kAggregates[aggregate], {}, type);
  n.result(post_transform(n, kTransforms[transform], scores));
}

namespace {

// Two classes, by one score or two.
struct Binary {
  Value *positive = nullptr; ///< bool [rows, 1]: the positive class wins
  Value *scores = nullptr;   ///< [rows, 2], transformed
};

struct BinaryCase {
  std::vector<double> base;
  std::string transform;
  bool one_class_weighted; ///< all weights belong to one class
  bool all_positive;       ///< no weight is below 0
  Scored first;            ///< whether class 0 has weights; without, its score is 0 whatever is added
  Value *first_scored;     ///< bool [rows, 1], where only some rows meet such a weight
};

Value *column(NodeImport &n, Value *scores, int64_t k) { return n.failed() ? nullptr : n.slice(scores, 1, k, 1); }

Value *is_positive(NodeImport &n, const BinaryCase &c, Value *score) {
  if (n.failed()) return nullptr;
  const double limit = c.one_class_weighted && c.all_positive ? 0.5 : 0;
  return n.map(Fn::less, {n.scalar(score->type().dtype(), limit), score});
}

Value *zeros_like(NodeImport &n, Value *score) {
  return n.failed() ? nullptr : n.broadcast(n.scalar(score->type().dtype(), 0), score->type().shape());
}

Value *first_score(NodeImport &n, const BinaryCase &c, Value *score, Value *none) {
  if (c.first_scored) return n.map(Fn::select, {c.first_scored, score, none});
  return c.first == Scored::never ? none : score;
}

Binary finished(NodeImport &n, const BinaryCase &c, Value *positive, Value *s0, Value *s1) {
  Value *both = n.concat({s0, s1}, 1);
  if (n.failed()) return {};
  return {positive, post_transform(n, c.transform, n.cast(both, DType::f32))};
}

// Both classes have scores. With two base values the first score is the opposite of the second.
Binary two_scores(NodeImport &n, const BinaryCase &c, Value *scores) {
  Value *s0 = column(n, scores, 0), *s1 = column(n, scores, 1), *none = zeros_like(n, s0);
  if (n.failed()) return {};
  const DType t = scores->type().dtype();
  if (c.base.size() == 2) {
    s1 = n.map(Fn::add, {n.scalar(t, c.base[1]), s0});
    s0 = n.map(Fn::neg, {s1});
  } else if (c.base.size() == 1) {
    s0 = n.map(Fn::add, {s0, n.scalar(t, c.base[0])});
  }
  return finished(n, c, is_positive(n, c, s1), first_score(n, c, s0, none), s1);
}

// Class 1 has no score of its own.
Binary one_score(NodeImport &n, const BinaryCase &c, Value *scores) {
  if (n.failed()) return {};
  const DType t = scores->type().dtype();
  Value *s = column(n, scores, 0), *none = zeros_like(n, s);
  if (!c.base.empty()) s = n.map(Fn::add, {s, n.scalar(t, c.base[0])});
  if (c.base.size() == 2) return finished(n, c, is_positive(n, c, s), first_score(n, c, s, none), none);
  if (c.transform == "PROBIT") return {n.unsupported("PROBIT of one score for two classes"), nullptr};
  if (c.base.size() == 1 && !c.one_class_weighted)
    return {n.unsupported("one base value where class 1 has no score in some rows"), nullptr};
  if (n.failed()) return {};
  return {is_positive(n, c, s),
          two_of_one(n, c.transform, n.cast(s, DType::f32), c.one_class_weighted && c.all_positive)};
}

// For each target whether some leaf that the row reaches has a weight for it: bool [rows, targets].
Value *scored(NodeImport &n, const TreeModel &model, Value *rows) {
  TreeModel counts = model;
  for (TreeModel::Node &node : counts.nodes)
    for (auto &weight : node.weights) weight.second = 1;
  Value *hits = tree_scores(n, counts, rows);
  return n.failed() ? nullptr : n.map(Fn::less, {n.scalar(model.dtype, 0), hits});
}

} // namespace

void import_tree_ensemble_classifier(NodeImport &n) {
  const DType t = compare_type(n.input(0));
  Value *rows = feature_rows(n, t);
  const ClassLabels labels = class_labels(n, "classlabels_int64s", "classlabels_strings");
  const std::string transform = post_transform_of(n);
  if (n.failed()) return;
  const int64_t classes = labels.count();
  const TreeModel model = trees_by_id(n, t, "class", classes);
  const std::vector<double> base = n.failed() ? std::vector<double>() : numbers(n, "base_values", t);
  if (n.failed()) return;
  if (!base.empty() && int64_t(base.size()) != classes && !(classes == 2 && base.size() == 1))
    return void(n.fail(std::to_string(base.size()) + " base values for " + std::to_string(classes) + " classes"));
  Value *scores = tree_scores(n, model, rows);
  if (n.failed()) return;
  const Dim count = rows->type().dim(0);
  if (classes == 1) { // the score of a lone class; its label is not used
    if (!base.empty()) scores = n.map(Fn::add, {scores, n.scalar(t, base[0])});
    if (n.failed()) return;
    Value *positive = n.map(Fn::less, {n.scalar(t, 0), n.reshape(scores, {count})});
    n.result(0, choose_label(n, labels, positive, 1, 0));
    return n.result(1, post_transform(n, transform, n.cast(scores, DType::f32)));
  }
  const std::vector<Scored> known = scored_targets(model);
  if (classes == 2) {
    BinaryCase c{base, transform, true, true, known[0], nullptr};
    int64_t weighted = -1;
    for (const TreeModel::Node &node : model.nodes)
      for (const auto &[k, weight] : node.weights) {
        c.one_class_weighted &= weighted < 0 || weighted == k;
        c.all_positive &= !(weight < 0);
        weighted = k;
      }
    c.one_class_weighted &= weighted >= 0;
    if (known[0] == Scored::sometimes && !base.empty()) c.first_scored = column(n, scored(n, model, rows), 0);
    Binary result;
    if (known[1] == Scored::always) {
      result = two_scores(n, c, scores);
    } else if (known[1] == Scored::never) {
      result = one_score(n, c, scores);
    } else {
      Value *second = column(n, scored(n, model, rows), 1);
      const Binary yes = two_scores(n, c, scores), no = one_score(n, c, scores);
      result = {n.map(Fn::select, {second, yes.positive, no.positive}),
                n.map(Fn::select, {second, yes.scores, no.scores})};
    }
    if (n.failed()) return;
    Value *positive = n.reshape(result.positive, {count});
    Value *label = nullptr;
    if (c.one_class_weighted)
      label =
          labels_at(n, labels, n.map(Fn::select, {positive, n.scalar_int(DType::i64, 1), n.scalar_int(DType::i64, 0)}));
    else // weights of both classes: the label is the sign of the score
      label = choose_label(n, labels, positive, 1, 0);
    n.result(0, label);
    return n.result(1, result.scores);
  }
  if (!base.empty()) scores = n.map(Fn::add, {scores, reals_constant(n, t, {classes}, base)});
  Value *candidates = scores;
  if (base.empty() &&
      std::find_if(known.begin(), known.end(), [](Scored s) { return s != Scored::always; }) != known.end())
    candidates = n.map(Fn::select, {scored(n, model, rows), scores, n.scalar(t, -INFINITY)}); // only scored classes win
  Value *best = n.make(Op::arg_reduce, {candidates},
                       {{"fn", std::string("max")}, {"axis", int64_t{1}}, {"keepdims", false}, {"select_last", false}});
  if (n.failed()) return;
  n.result(0, labels_at(n, labels, best));
  n.result(1, post_transform(n, transform, n.cast(scores, DType::f32)));
}

} // namespace cameo::frontend
