#include "cameo/ir/container.h"

#include "cameo/support/check.h"

namespace cameo::graph {

std::vector<std::string> ContainerForm::part_names() const {
  std::vector<std::string> names = {"dims", "data"};
  if (has_ranks()) names.push_back("ranks");
  if (has_present()) names.push_back("present");
  return names;
}

std::vector<Type> ContainerForm::part_types(const Dim &count, const Dim &total) const {
  std::vector<Type> types = {Type::tensor(DType::i64, {count, has_ranks() ? kMostElementRank : rank}),
                             Type::tensor(dtype, {total})};
  if (has_ranks()) types.push_back(Type::tensor(DType::i64, {count}));
  if (has_present()) types.push_back(Type::scalar(DType::boolean));
  return types;
}

std::optional<ContainerForm> container_form(const Type &type) {
  ContainerForm form;
  const Type *element = nullptr;
  if (type.is_sequence()) {
    element = &type.element();
  } else if (type.is_optional() && type.element().is_sequence()) {
    form.kind = ContainerForm::Kind::optional_sequence;
    element = &type.element().element();
  } else if (type.is_optional()) {
    form.kind = ContainerForm::Kind::optional;
    element = &type.element();
  }
  if (!element || !element->is_tensor() || element->dtype() == DType::string) return std::nullopt;
  form.dtype = element->dtype();
  form.rank = element->is_ranked() ? element->rank() : -1;
  return form;
}

const Type &container_element(const Type &type) {
  CAMEO_CHECK(container_form(type), type.str() + " is no container of tensors");
  return type.is_optional() && type.element().is_sequence() ? type.element().element() : type.element();
}

} // namespace cameo::graph
